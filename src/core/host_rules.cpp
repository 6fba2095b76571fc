// SPDX-License-Identifier: Apache-2.0
#include "core/host_rules.hpp"

#include "core/text.hpp"

#include <array>

namespace belay::core {

namespace {

/// Below that a journal and the evidence of one transaction may not fit.
constexpr std::uint64_t least_room = 16U << 20U;
/// What the log of one command may take (the default of --log-limit).
constexpr std::uint64_t enough_room = 100U << 20U;
constexpr std::uint64_t least_inodes = 100;

struct extension {
    std::string_view name;
    weight without;
    std::string_view what;
};

// By the requests in src/incus: what they send and what they rely on.
constexpr std::array<extension, 14> used{
    {{"instances", weight::fault, "belay finds no instance"},
     {"projects", weight::fault, "belay cannot name the project of an instance"},
     {"etag", weight::fault, "two belays on two machines could take the same instance"},
     {"patch", weight::fault, "belay cannot lock an instance"},
     {"operation_wait", weight::fault, "belay cannot wait for the end of what it asked for"},
     {"snapshot_expiry", weight::fault, "a snapshot may expire while it is needed or being restored"},
     {"snapshot_expiry_creation", weight::fault, "a snapshot may expire before it is used"},
     {"storage_api_volume_snapshots", weight::note,
      "instances with custom volumes are refused or roll back without them"},
     {"custom_volume_snapshot_expiry", weight::note, "snapshots of custom volumes may expire while they are needed"},
     {"instance_snapshot_never", weight::note,
      "a schedule of snapshots cannot be switched off during a transaction, and breaks a rollback on zfs"},
     {"container_exec_user_group_cwd", weight::note, "--user, --group and --cwd do not work"},
     {"instance_generation_id", weight::note,
      "a restore that succeeded without the journal saying so is repeated by belay recover"},
     {"instance_all_projects", weight::note, "belay doctor sees the instances of one project only"},
     {"operations_get_query_all_projects", weight::note,
      "belay doctor may take what a restore under way has moved aside for a leftover"}}};

std::string major_of(const std::string& version) {
    return version.substr(0, version.find('.'));
}

std::string octal(unsigned mode) {
    std::string digits = "0000";
    for (std::size_t i = 0; i < digits.size(); ++i) {
        digits[digits.size() - 1 - i] = static_cast<char>('0' + ((mode >> (3 * i)) & 7U));
    }
    return digits;
}

std::string mebibytes(std::uint64_t bytes) {
    return std::to_string(bytes >> 20U) + " MiB";
}

finding without_permission(const socket_facts& facts) {
    const auto head = printable(facts.user) + " may not use the Incus daemon at " + printable(facts.path);
    if (facts.group.empty()) {
        return fault("socket", head + ": only root may", {"sudo belay doctor"});
    }
    if (facts.member) {
        return fault("socket",
                     head + " yet: the membership in group " + printable(facts.group) +
                         " counts from the next login on, or in a shell of its own",
                     {"newgrp " + shell_quote(facts.group)});
    }
    return fault("socket",
                 head + ": members of group " + printable(facts.group) +
                     " may, who can become root through it. As root, then log in again",
                 {"usermod -aG " + shell_quote(facts.group) + " " + shell_quote(facts.user)});
}

void judge_rights(const directory_facts& facts, unsigned uid, const std::string& user, std::vector<finding>& all) {
    const auto path = shell_quote(facts.path);
    const auto shown = printable(facts.path);
    if (facts.owner != uid) {
        all.push_back(fault("state-directory",
                            shown + " belongs to another user (" + std::to_string(facts.owner) +
                                "), who could make belay restore or delete what he likes. As root, when you know what "
                                "is in it",
                            {"chown -R " + shell_quote(user) + ": " + path}));
    } else if (!facts.writable) {
        all.push_back(fault("state-directory", shown + " cannot be written to", {"chmod u+rwx " + path}));
    }
    constexpr unsigned of_others = 077;
    if ((facts.mode & of_others) != 0) {
        all.push_back(fault("state-directory",
                            shown + " is open to others (mode " + octal(facts.mode) +
                                "): it holds what commands printed, and decides what is restored",
                            {"chmod 0700 " + path}));
    }
}

void judge_room(const directory_facts& facts, std::vector<finding>& all) {
    const auto shown = printable(facts.path);
    std::vector<std::string> look{"du -h -d 2 " + shell_quote(facts.path) + "/transactions | sort -h | tail"};
    if (facts.free_bytes < enough_room) {
        const bool little = facts.free_bytes < least_room;
        all.push_back({little ? weight::fault : weight::note, "room",
                       mebibytes(facts.free_bytes) + " are free for " + shown +
                           (little ? ": nothing is begun on a full disk, and what is under way is undone. The largest "
                                     "transactions, whose upgrade.log may go when they have ended"
                                   : ", less than the log of one command may take"),
                       look});
    }
    if (facts.free_inodes && *facts.free_inodes < least_inodes) {
        all.push_back(fault("room",
                            "only " + std::to_string(*facts.free_inodes) + " files can still be made in " + shown +
                                ": make room on its file system",
                            {"df -i " + shell_quote(facts.path)}));
    }
}

} // namespace

finding judge_socket(const socket_facts& facts) {
    if (!facts.failed) {
        return facts.trusted
                   ? fine("socket", "Incus " + printable(facts.version) + " answers at " + printable(facts.path))
                   : without_permission(facts);
    }
    if (facts.failed->code == reason::no_permission) {
        return without_permission(facts);
    }
    const auto what = describe(*facts.failed);
    if (facts.chosen) {
        return fault("socket", what + " (INCUS_SOCKET or INCUS_DIR names it)");
    }
    return fault("socket", what, {"systemctl start incus"});
}

std::vector<finding> judge_extensions(const std::set<std::string>& extensions) {
    std::vector<finding> all;
    for (const auto& [name, without, what] : used) {
        if (!extensions.contains(std::string(name))) {
            all.push_back({without,
                           "extension",
                           "the Incus daemon has no API extension " + std::string(name) + ": " + std::string(what) +
                               "; a newer Incus has it",
                           {}});
        }
    }
    if (all.empty()) {
        all.push_back(fine("extension", "the Incus daemon has every API extension that belay uses"));
    }
    return all;
}

finding judge_client(const std::string& program, const std::string& client, const std::string& server) {
    const auto shown = printable(program);
    if (client.empty()) {
        return fault("client",
                     "the program " + shown +
                         " does not say its version: the commands that belay prints for you need it, so it must work. "
                         "What it says",
                     {shell_quote(program) + " --version"});
    }
    if (!server.empty() && major_of(client) != major_of(server)) {
        return note("client", shown + " is version " + printable(client) + ", the daemon " + printable(server) +
                                  ": install them from the same source");
    }
    return fine("client", shown + " " + printable(client));
}

std::vector<finding> judge_directory(const directory_facts& facts, unsigned uid, const std::string& user) {
    const auto shown = printable(facts.path);
    const auto path = shell_quote(facts.path);
    if (!facts.exists) {
        if (facts.writable) {
            return {fine("state-directory", shown + " is made by the first transaction")};
        }
        return {fault("state-directory",
                      shown + " does not exist, and " + printable(user) + " may not make it in " +
                          printable(facts.made_in) + ". As root",
                      {"install -d -m 0700 -o " + shell_quote(user) + " " + path})};
    }
    if (!facts.is_directory) {
        return {fault("state-directory", shown + " is not a directory", {"mv " + path + " " + path + ".old"})};
    }
    std::vector<finding> all;
    judge_rights(facts, uid, user, all);
    if (!facts.lock_problem.empty()) {
        all.push_back(fault("locks", "file locks do not work in " + shown + " (" + printable(facts.lock_problem) +
                                         "): choose a directory on a local disk with --state-dir or BELAY_STATE_DIR"));
    }
    judge_room(facts, all);
    if (all.empty()) {
        all.push_back(fine("state-directory", shown + ", " + mebibytes(facts.free_bytes) + " free"));
    }
    return all;
}

finding judge_timer(const timer_facts& facts) {
    const std::string unit = "belay-recover.timer";
    const std::string what_for = "an interrupted transaction waits until somebody runs `belay recover`";
    if (!facts.systemd) {
        return note("timer", "no systemd runs here: let something else run `belay recover` after the boot, and every "
                             "minute if you can");
    }
    if (!facts.serves) {
        return note("timer", unit + " is for root and /var/lib/belay, not for this state directory: " + what_for);
    }
    if (facts.enabled.empty() || facts.enabled == "not-found") {
        return fault("timer", unit + " is not installed, so " + what_for +
                                  ": install belay with `cmake --install` below /usr/local or /usr, which brings it");
    }
    if (facts.enabled.starts_with("masked")) {
        return fault("timer", unit + " is masked, so " + what_for,
                     {"systemctl unmask " + unit, "systemctl enable --now " + unit});
    }
    if (facts.enabled != "enabled" && facts.enabled != "enabled-runtime") {
        return fault("timer", unit + " is not enabled, so " + what_for, {"systemctl enable --now " + unit});
    }
    if (facts.active != "active") {
        return fault("timer", unit + " does not run, so " + what_for, {"systemctl start " + unit});
    }
    return fine("timer", unit + " is enabled and runs");
}

} // namespace belay::core
