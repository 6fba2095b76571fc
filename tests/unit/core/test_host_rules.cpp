// SPDX-License-Identifier: Apache-2.0
// Whether a host has what belay needs.
#include "core/host_rules.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>

using namespace belay::core;
using commands = std::vector<std::string>;

namespace {

const std::set<std::string> every_extension{"instances",
                                            "projects",
                                            "etag",
                                            "patch",
                                            "operation_wait",
                                            "snapshot_expiry",
                                            "snapshot_expiry_creation",
                                            "storage_api_volume_snapshots",
                                            "custom_volume_snapshot_expiry",
                                            "instance_snapshot_never",
                                            "container_exec_user_group_cwd",
                                            "instance_generation_id",
                                            "instance_all_projects",
                                            "operations_get_query_all_projects"};

socket_facts asked_by_jane() {
    return {.path = "/run/s", .user = "jane", .group = "incus-admin"};
}

directory_facts good_directory() {
    return {.path = "/var/lib/be lay", .owner = 0, .mode = 0700, .free_bytes = 1ULL << 30U, .free_inodes = 5'000};
}

bool all_fine(const std::vector<finding>& all) {
    return std::ranges::all_of(all, [](const auto& one) { return one.how == weight::fine; });
}

} // namespace

TEST_CASE("who may not use the daemon is told how he may", "[core]") {
    auto facts = asked_by_jane();
    facts.failed = error{reason::no_permission, "no"};
    CHECK(judge_socket(facts).how == weight::fault);
    CHECK(judge_socket(facts).mend == commands{"usermod -aG incus-admin jane"});
    facts.member = true; // but not in this login
    CHECK(judge_socket(facts).mend == commands{"newgrp incus-admin"});
    facts.group.clear();
    CHECK(judge_socket(facts).mend == commands{"sudo belay doctor"});
    facts = asked_by_jane();
    facts.trusted = false;
    CHECK(judge_socket(facts).mend == commands{"usermod -aG incus-admin jane"});
}

TEST_CASE("a daemon that is away is to be started, unless somebody chose another place for it", "[core]") {
    auto facts = asked_by_jane();
    facts.failed = error{reason::no_daemon, "nobody answers"};
    CHECK(judge_socket(facts).mend == commands{"systemctl start incus"});
    facts.chosen = true;
    CHECK(judge_socket(facts).how == weight::fault);
    CHECK(judge_socket(facts).mend.empty());
    CHECK(judge_socket(facts).what.find("INCUS_SOCKET") != std::string::npos);
    facts.failed.reset();
    facts.version = "6.0.4";
    CHECK(judge_socket(facts) == fine("socket", "Incus 6.0.4 answers at /run/s"));
}

TEST_CASE("each missing extension is named with what does not work without it", "[core]") {
    CHECK(all_fine(judge_extensions(every_extension)));
    std::set<std::string> needed;
    for (const auto& name : every_extension) {
        auto without = every_extension;
        without.erase(name);
        const auto all = judge_extensions(without);
        REQUIRE(all.size() == 1);
        CHECK(all[0].what.find(" " + name + ": ") != std::string::npos);
        CHECK(all[0].how != weight::fine);
        if (all[0].how == weight::fault) {
            needed.insert(name);
        }
    }
    CHECK(needed == std::set<std::string>{"instances", "projects", "etag", "patch", "operation_wait", "snapshot_expiry",
                                          "snapshot_expiry_creation"});
}

TEST_CASE("a client of another major version is worth knowing, one that does not run is a finding", "[core]") {
    CHECK(judge_client("/usr/bin/incus", "6.0.4", "6.20").how == weight::fine);
    CHECK(judge_client("/usr/bin/incus", "6.0.4", "").how == weight::fine);
    CHECK(judge_client("/usr/bin/incus", "6.0.4", "7.0").how == weight::note);
    CHECK(judge_client("/usr/bin/incus", "", "7.0").how == weight::fault);
}

TEST_CASE("the state directory belongs to its user alone, has room and locks", "[core]") {
    CHECK(all_fine(judge_directory(good_directory(), 0, "root")));

    struct row {
        void (*spoil)(directory_facts&);
        weight how;
        std::string word;
        commands mend;
    };

    const std::string look = "du -h -d 2 '/var/lib/be lay'/transactions | sort -h | tail";
    const row rows[] = {
        {[](auto& d) { d.owner = 7; }, weight::fault, "state-directory", {"chown -R root: '/var/lib/be lay'"}},
        {[](auto& d) { d.mode = 0777; }, weight::fault, "state-directory", {"chmod 0700 '/var/lib/be lay'"}},
        {[](auto& d) { d.mode = 0750; }, weight::fault, "state-directory", {"chmod 0700 '/var/lib/be lay'"}},
        {[](auto& d) { d.writable = false; }, weight::fault, "state-directory", {"chmod u+rwx '/var/lib/be lay'"}},
        {[](auto& d) { d.is_directory = false; },
         weight::fault,
         "state-directory",
         {"mv '/var/lib/be lay' '/var/lib/be lay'.old"}},
        {[](auto& d) { d.free_bytes = 1'000; }, weight::fault, "room", {look}},
        {[](auto& d) { d.free_bytes = 50U << 20U; }, weight::note, "room", {look}},
        {[](auto& d) { d.free_inodes = 3; }, weight::fault, "room", {"df -i '/var/lib/be lay'"}},
        {[](auto& d) { d.lock_problem = "flock: no locks"; }, weight::fault, "locks", {}},
        {[](auto& d) { d.exists = d.writable = false; },
         weight::fault,
         "state-directory",
         {"install -d -m 0700 -o root '/var/lib/be lay'"}},
        {[](auto& d) { d.exists = false; }, weight::fine, "state-directory", {}},
    };
    for (const auto& r : rows) {
        auto facts = good_directory();
        r.spoil(facts);
        const auto all = judge_directory(facts, 0, "root");
        REQUIRE(all.size() == 1);
        INFO(all[0].what);
        CHECK(all[0].how == r.how);
        CHECK(all[0].word == r.word);
        CHECK(all[0].mend == r.mend);
    }
}

TEST_CASE("the mode is written as chmod takes it", "[core]") {
    auto facts = good_directory();
    facts.mode = 01'775;
    CHECK(judge_directory(facts, 0, "root").front().what.find("mode 1775") != std::string::npos);
}

TEST_CASE("the timer is asked for where it would serve", "[core]") {
    CHECK(judge_timer({}).how == weight::note);
    CHECK(judge_timer({.systemd = true, .serves = false}).how == weight::note);
    const auto with = [](const std::string& enabled, const std::string& active) {
        return judge_timer({.systemd = true, .enabled = enabled, .active = active});
    };
    CHECK(with("enabled", "active").how == weight::fine);
    CHECK(with("enabled", "inactive").mend == commands{"systemctl start belay-recover.timer"});
    CHECK(with("disabled", "active").mend == commands{"systemctl enable --now belay-recover.timer"});
    CHECK(with("masked", "inactive").mend ==
          commands{"systemctl unmask belay-recover.timer", "systemctl enable --now belay-recover.timer"});
    CHECK(with("", "inactive").how == weight::fault);
    CHECK(with("not-found", "inactive").mend.empty());
}
