// SPDX-License-Identifier: Apache-2.0
#include "core/durations.hpp"
#include "core/lock_rule.hpp"
#include "core/text.hpp"
#include "report/lines.hpp"
#include "report/pieces.hpp"
#include "report/table.hpp"
#include "report/text.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace belay::report {

namespace {

std::string section(std::string_view title, std::string_view body) {
    return body.empty() ? std::string{} : fmt::format("\n{}\n{}", title, body);
}

std::string tail_lines(std::string_view raw, const style& look) {
    output_lines lines("    ", !look.utf8);
    std::string text;
    lines.feed({core::output::stream::out, std::string(raw)}, text);
    lines.finish(text);
    return text;
}

std::string phase_lines(const core::report& r, const style& look) {
    std::string text;
    for (const auto& phase : r.phases) {
        const bool only = phase.target.empty() || phase.target == "root";
        text += "  " + phase_line(only ? phase.name : phase.name + " " + phase.target, phase.seconds, phase.ok, look);
        text += phase.message.empty() ? "\n" : "  " + safe(phase.message, look) + "\n";
    }
    return text;
}

/// Those that were compared with the baseline, then those that ran only then.
std::string report_checks(const core::report& r, const style& look) {
    auto checks = r.checks;
    const auto compared = [](const auto& check) { return check.final != core::health::none; };
    const auto middle = std::ranges::stable_partition(checks, compared).begin();
    return check_lines({checks.begin(), middle}, true, look) + check_lines({middle, checks.end()}, false, look);
}

std::string warning_lines(const core::report& r, const style& look) {
    std::string text;
    for (const auto& warning : r.warnings) {
        text += fmt::format("    {} {}\n", mark(tone::warn, look), safe(warning, look));
    }
    return text;
}

/// "812 B", "4.1 KiB"
std::string size_text(std::uint64_t bytes) {
    constexpr std::uint64_t kib = 1024;
    return bytes < kib ? fmt::format("{} B", bytes) : fmt::format("{:.1f} KiB", static_cast<double>(bytes) / kib);
}

/// First what stands out in them, then where they are.
std::string evidence_lines(std::span<const evidence_file> evidence, const style& look) {
    std::vector<std::vector<std::string>> telling;
    std::vector<std::vector<std::string>> files;
    for (const auto& file : evidence) {
        for (const auto& line : file.telling) {
            telling.push_back({"  ", safe(file.name, look), safe(line, look)});
        }
        files.push_back({"  ", size_text(file.size), safe(file.path, look)});
    }
    style whole = look;
    whole.width.reset(); // a path is there to be pasted, and of a message the end matters as well
    return table(telling, whole) + (telling.empty() ? "" : "\n") + table(files, whole);
}

std::string package_lines(const core::report& r, const style& look) {
    constexpr std::size_t most = 30;
    if (!r.packages) {
        return {};
    }
    std::string text;
    std::size_t count = 0;
    const auto all = core::to_text(*r.packages);
    for (std::size_t from = 0; from < all.size(); ++count) {
        const auto end = all.find('\n', from);
        text +=
            count < most ? "    " + safe(std::string_view(all).substr(from, end - from), look) + "\n" : std::string{};
        from = end + 1;
    }
    return count <= most ? text : text + fmt::format("    and {} more: --format json has them all\n", count - most);
}

std::string about(const core::report& r, bool closed, const style& look) {
    const auto outcome = fmt::format("{} ({}), exit code {}", core::to_word(r.how), core::to_word(r.why), r.exit_code);
    return facts({{"transaction", r.transaction},
                  {"outcome", closed ? outcome : std::string{}},
                  {"project", r.project == "default" ? std::string{} : safe(r.project, look)},
                  {"command", safe(core::shell_line(r.command), look)},
                  {"undoes", r.undoes},
                  {"exit status", r.command_exit ? std::to_string(*r.command_exit) : std::string{}},
                  {"started", start_of(r)},
                  {"took", closed ? core::format_seconds(r.seconds) : std::string{}},
                  {"snapshot", r.snapshot},
                  {"output", safe(r.log, look)}},
                 look);
}

std::string body(const core::report& r, bool closed, std::string_view log_tail, std::span<const evidence_file> evidence,
                 const style& look) {
    return section("Last lines of the output", tail_lines(log_tail, look)) +
           section("Evidence", evidence_lines(evidence, look)) + section("Phases", phase_lines(r, look)) +
           section("Checks", report_checks(r, look)) + section("Packages", package_lines(r, look)) +
           section("Warnings", warning_lines(r, look)) + section("Transaction", about(r, closed, look));
}

std::string_view last_phase(const core::report& r) {
    return r.phases.empty() ? std::string_view("preflight") : std::string_view(r.phases.back().name);
}

std::string waiting_text(const history_entry& past, const style& look) {
    const auto& r = past.summary;
    return fmt::format("{} {} is upgraded and waits for a confirmation{}.\n", mark(tone::warn, look), r.instance,
                       past.until ? " until " + utc(*past.until) + " (time of day, UTC)" : std::string{}) +
           facts({{"to keep", "belay confirm " + r.transaction},
                  {"to undo", "belay rollback " + r.transaction},
                  {"else", "it is undone then, by the belay that waits or by `belay recover`"}},
                 look);
}

std::string interrupted_text(const history_entry& past, const style& look) {
    const auto& so_far = past.summary;
    if (so_far.instance.empty()) {
        return fmt::format("{} Transaction {} ended before it did anything: its journal is empty.\n  `belay recover` "
                           "says how to forget it.\n",
                           mark(tone::warn, look), so_far.transaction);
    }
    auto text = fmt::format("{} The transaction on {} was interrupted in {} and has no outcome.\n  {}\n",
                            mark(tone::warn, look), so_far.instance, last_phase(so_far), past.way_out);
    for (const auto& command : so_far.manual) {
        text += "    " + safe(command, look) + "\n";
    }
    return text;
}

/// The first lines: what one must know.
std::string head_of(const history_entry& past, const style& look) {
    const auto& r = past.summary;
    switch (past.how) {
    case ending::closed:
        return past.superseded_by.empty()
                   ? closing_sentence(r, look)
                   : fmt::format("{} The upgrade of {} was kept, and later taken back by transaction {}.\n",
                                 mark(tone::plain, look), r.instance, past.superseded_by);
    case ending::running:
        return fmt::format("{} {} is in a transaction that runs now, in {}.\n", mark(tone::plain, look), r.instance,
                           last_phase(r));
    case ending::waiting:
        return waiting_text(past, look);
    case ending::interrupted:
        return interrupted_text(past, look);
    }
    return {};
}

} // namespace

std::string show(const history_entry& past, std::string_view log_tail, const style& look,
                 std::span<const evidence_file> evidence) {
    return head_of(past, look) + body(past.summary, past.how == ending::closed, log_tail, evidence, look);
}

} // namespace belay::report
