// SPDX-License-Identifier: Apache-2.0
// belay checks: what is installed.
#include "cli/commands.hpp"
#include "cli/selection.hpp"
#include "cli/surroundings.hpp"
#include "core/durations.hpp"
#include "core/text.hpp"
#include "report/checks_text.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace belay::cli {

namespace {

std::string as_json(const std::vector<checks::entry>& entries) {
    auto list = nlohmann::ordered_json::array();
    for (const auto& entry : entries) {
        nlohmann::ordered_json one{{"name", entry.name}, {"default", is_default(entry.name)}};
        if (entry.check) {
            one["where"] = core::to_word(entry.check->where);
            one["timeout"] = core::format_duration(entry.check->timeout);
            one["summary"] = entry.check->summary;
            one["file"] = entry.check->file.string();
        } else {
            one["error"] = core::describe(entry.check.error());
        }
        list.push_back(std::move(one));
    }
    return list.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string as_text(const std::vector<checks::entry>& entries) {
    std::vector<report::listed_check> list;
    for (const auto& entry : entries) {
        if (entry.check) {
            list.push_back({entry.name, entry.check->where,
                            entry.check->summary + (is_default(entry.name) ? " (default)" : ""),
                            entry.check->file.string()});
        }
    }
    return report::checks_table(list, report::style_of(STDOUT_FILENO));
}

/// A file that is there is never written over.
core::expected<void> write_template(const std::string& name) {
    const auto original = share_folder() / "new-check";
    const auto text = checks::read_text(original);
    if (!text || text->empty()) {
        return core::failure(core::reason::io_error, fmt::format("the template {} cannot be read: install belay again",
                                                                 checks::shown(original)));
    }
    constexpr mode_t executable = 0755;
    const int fd = open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, executable);
    if (fd < 0) {
        return core::failure(core::reason::usage,
                             fmt::format("{} cannot be made: {}", checks::shown(name),
                                         std::error_code(errno, std::generic_category()).message()));
    }
    const bool written = write(fd, text->data(), text->size()) == static_cast<ssize_t>(text->size());
    if (close(fd) != 0 || !written) {
        unlink(name.c_str());
        return core::failure(core::reason::io_error, fmt::format("{} cannot be written", checks::shown(name)));
    }
    const auto path = name.find('/') == std::string::npos ? "./" + name : name;
    print(fmt::format("{0} is a check to begin with. Edit it, and look what it says of an instance:\n"
                      "  belay check INSTANCE --check {0} -v\n"
                      "In /etc/belay/checks it has a name.\n",
                      core::shell_quote(path)));
    return {};
}

} // namespace

int checks_command(const checks_options& options) {
    if (options.new_check) {
        const auto made = write_template(*options.new_check);
        return made ? 0 : complain(made.error());
    }
    const auto entries = installed_checks().list();
    print(options.common.format == output_format::json ? as_json(entries) : as_text(entries));
    for (const auto& entry : entries) {
        if (!entry.check) {
            complain(entry.check.error());
        }
    }
    return 0;
}

} // namespace belay::cli
