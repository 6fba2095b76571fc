// SPDX-License-Identifier: Apache-2.0
// belay history: one line per transaction.
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
    const auto all = journal::list_transactions(*state);
    if (!all) {
        return complain(all.error());
    }
    std::vector<report::history_entry> entries;
    int code = 0;
    for (const auto& txn : *all) {
        auto past = load_summary(*state, txn);
        if (!past) {
            code = complain(past.error()); // the others are shown all the same
        } else if (!options.instance || past->summary.instance == *options.instance) {
            entries.push_back({std::move(past->summary), past->how});
        }
    }
    if (options.common.format == output_format::json) {
        print(as_json(entries));
    } else {
        print(report::history_table(entries, report::style_of(STDOUT_FILENO)));
    }
    return code;
}

} // namespace belay::cli
