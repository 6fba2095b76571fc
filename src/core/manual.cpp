// SPDX-License-Identifier: Apache-2.0
#include "core/manual.hpp"

#include "core/incus_commands.hpp"
#include "core/text.hpp"

#include <algorithm>
#include <ranges>

namespace belay::core {

namespace {

/// The instance comes last, as belay itself does it: its restore is what tells that all is restored.
std::vector<std::string> restore_commands(const incus_commands& incus, const state& s, const std::string& snapshot) {
    std::vector<std::string> commands;
    if (!s.ok(act::stop)) { // a second stop would be an error
        commands.push_back(incus.line("stop --force"));
    }
    for (const auto& target : std::views::reverse(s.how.targets)) {
        if (!s.ok(act::restore, target)) {
            commands.push_back(incus.snapshot("restore", target, snapshot));
        }
    }
    commands.insert(commands.end(), {incus.unlock(), incus.line("start")});
    return commands;
}

/// Schedules that belay has switched off are set as they were. Only a target on storage that restores nothing but its
/// newest snapshot has one.
void add_schedules(std::vector<std::string>& commands, const incus_commands& incus, const state& s) {
    for (const auto& target : s.how.targets) {
        if (!s.facts || !s.tried(act::schedule_off, target) || s.ok(act::schedule_on, target)) {
            continue;
        }
        const auto before = schedule_of(target, *s.facts);
        if (target != "root") {
            commands.push_back(incus.volume_config(target, "snapshots.schedule=" + shell_quote(before.value_or(""))));
        } else if (before) {
            commands.push_back(incus.line("config set", "snapshots.schedule=" + shell_quote(*before)));
        } else {
            commands.push_back(incus.line("config unset", "snapshots.schedule"));
        }
    }
}

bool has_half_made_snapshot(const state& s) {
    return s.tried(act::snapshot, "root") && !s.ok(act::snapshot, "root");
}

/// A hook that belay would have run, as a command for a person.
std::string by_hand(const check_spec& hook, const incus_commands& incus, const plan& how) {
    if (hook.file.empty()) {
        return incus.line("exec", "-- sh -c " + shell_quote(hook.args.front()));
    }
    const auto file = shell_quote(hook.file);
    return hook.where == place::host ? "BELAY_INSTANCE=" + how.instance + " BELAY_PROJECT=" + how.project + " " + file
                                     : incus.line("exec", "-- sh -s <" + file);
}

/// What was begun before the upgrade is taken back.
std::vector<std::string> clean_up_commands(const incus_commands& incus, const state& s, const std::string& snapshot) {
    std::vector<std::string> commands;
    if (!s.ok(act::unpause) && (s.tried(act::pause) || has_half_made_snapshot(s))) {
        commands.push_back(incus.line(s.how.mode == snapshot_mode::stopped ? "start" : "resume"));
    }
    if (s.tried(act::quiesce) && !s.ok(act::resume) && !s.how.resume.empty()) {
        for (const auto& hook : s.how.resume) {
            commands.push_back(by_hand(hook, incus, s.how));
        }
    }
    for (const auto& target : s.how.targets) {
        if (s.tried(act::snapshot, target) && !s.ok(act::discard, target)) {
            commands.push_back(incus.snapshot("delete", target, snapshot));
        }
    }
    add_schedules(commands, incus, s);
    commands.push_back(incus.unlock());
    return commands;
}

/// `Failed to rename "A" to "A.incustmp": …`: the path A, or nothing.
std::string path_before_leftover(const std::string& cause) {
    constexpr std::string_view head = "Failed to rename \"";
    const auto begin = cause.find(head);
    if (begin == std::string::npos) {
        return {};
    }
    const auto from = begin + head.size();
    const auto end = cause.find('"', from);
    const auto path = cause.substr(from, end == std::string::npos ? 0 : end - from);
    return cause.find("\" to \"" + path + ".incustmp\"", from) == end ? path : std::string{};
}

} // namespace

// A restore that was cut before it made the instance anew has moved away all there is of it, and Incus makes an empty
// directory in its place. As long as one of the two is such a directory no restore succeeds.
std::string mend_of_moved(const std::string& path, bool in_place) {
    const auto place = shell_quote(path);
    const auto leftover = shell_quote(path + std::string(moved_suffix));
    if (!in_place) {
        return "mv " + leftover + " " + place;
    }
    return "if rmdir " + place + " 2>/dev/null; then mv " + leftover + " " + place + "; else rmdir " + leftover +
           " 2>/dev/null || btrfs subvolume delete " + leftover + "; fi";
}

std::vector<std::string> mending_commands(const std::vector<error>& why) {
    for (const auto& e : std::views::reverse(why)) { // the latest is what stands in the way now
        const auto path = path_before_leftover(e.cause);
        if (path.empty()) {
            continue;
        }
        if (e.cause.find("file exists") != std::string::npos) {
            return {mend_of_moved(path, true)};
        }
        if (e.cause.find("no such file") != std::string::npos) {
            return {mend_of_moved(path, false)};
        }
    }
    return {};
}

std::vector<std::string> manual_commands(const state& s, const std::string& txn) {
    const incus_commands incus(s.how.instance, s.how.project);
    const auto because = [&](reason code) { return std::ranges::find(s.why, code, &error::code) != s.why.end(); };
    if (because(reason::not_found)) {
        return {}; // there is no instance
    }
    if (because(reason::not_restorable)) {
        return {incus.unlock()}; // there is no snapshot, and the instance was left as it is
    }
    if (s.decision == verdict::commit) {
        std::vector<std::string> commands;
        add_schedules(commands, incus, s);
        commands.push_back(incus.unlock());
        return commands;
    }
    if (!s.goes_back()) {
        return clean_up_commands(incus, s, snapshot_name(txn));
    }
    if (s.restored()) {
        return {incus.unlock(), incus.line("start")};
    }
    auto commands = mending_commands(s.why);
    std::ranges::move(restore_commands(incus, s, restored_snapshot(s.how, txn)), std::back_inserter(commands));
    return commands;
}

way_out end_by_hand(const state& s, const std::string& txn) {
    const std::string recover = "`belay recover` ends it. ";
    const std::string what = s.how.undoes_kept ? "The undo" : "The upgrade"; // an undo has no upgrade in it
    if (!s.tried(act::lock)) {
        return {recover + "Nothing was changed.", {}};
    }
    const auto commands = manual_commands(s, txn);
    if (s.decision == verdict::commit) {
        return {recover + "The upgrade was decided to be kept; what is left is the lock. By hand:", commands};
    }
    if (!s.goes_back()) {
        return {recover + what + " had not begun. To clean up by hand, in this order:", commands};
    }
    if (s.restored()) {
        return {recover + "The old state was restored; what is left is the lock, and the start if it does not run. By "
                          "hand:",
                commands};
    }
    return {recover + what +
                (s.how.undoes_kept ? " had begun. To finish it by hand, in this order:"
                                   : " had begun. To bring the old state back by hand, in this order:"),
            commands};
}

} // namespace belay::core
