// SPDX-License-Identifier: Apache-2.0
// belay history: one line per transaction.
#include "cli/clock.hpp"
#include "cli/commands.hpp"
#include "cli/past.hpp"
#include "report/text.hpp"

#include <nlohmann/json.hpp>
#include <unistd.h>

namespace belay::cli {

int history_command(const history_options& options) {
    const auto state = state_directory_of(options.common);
    if (!state) {
        return complain(state.error());
    }
    std::vector<core::error> unreadable;
    const bool as_document = options.common.format == output_format::json;
    const auto now = system_clock{}.wall();
    early_question question;
    const auto ask_early = [&](auto newest) { question.begin(newest, now); };
    auto entries = load_history(*state, unreadable, as_document ? codec::detail::whole : codec::detail::brief,
                                options.instance ? see_newest{} : ask_early); // of one instance: when it is known
    if (!entries) {
        return complain(entries.error());
    }
    int code = 0;
    for (const auto& problem : unreadable) {
        code = complain(problem); // the others are shown all the same
    }
    if (options.instance) {
        std::erase_if(*entries, [&](const auto& entry) { return entry.summary.instance != *options.instance; });
    }
    mark_undoable(*entries, now, [&](const auto& which) { return question.answers(which); });
    if (as_document) {
        print(as_json(*entries));
    } else {
        print(report::history_table(*entries, report::style_of(STDOUT_FILENO)));
    }
    return code;
}

} // namespace belay::cli
