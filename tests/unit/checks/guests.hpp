// SPDX-License-Identifier: Apache-2.0
// What the tests of checks share: a folder of hooks, and an instance to which nothing can be done.
#pragma once
#include "fakes/temporary_directory.hpp"
#include "ports/host.hpp"

#include <filesystem>
#include <fstream>
#include <sys/stat.h>

namespace belay::test {

namespace fs = std::filesystem;

/// A folder of hooks that is gone at the end of the test.
class scratch : public fakes::temporary_directory {
public:
    fs::path put(const std::string& name, const std::string& text, mode_t mode = 0755) const {
        const auto file = path() / name;
        fs::create_directories(file.parent_path());
        std::ofstream(file) << text;
        chmod(file.c_str(), mode);
        return file;
    }
};

/// An instance that answers everything with success. What exec does is the test's.
class idle_guest : public ports::host {
public:
    core::expected<ports::examined> examine(core::milliseconds) override { return ports::examined{}; }

    core::expected<void> check_restorable(const core::instance_facts&, const core::plan&, core::milliseconds) override {
        return {};
    }

    core::expected<void> schedule_off(const std::string&, core::milliseconds) override { return {}; }

    core::expected<void> schedule_on(const std::string&, const std::optional<std::string>&,
                                     core::milliseconds) override {
        return {};
    }

    core::expected<std::vector<core::snapshot_entry>> list_snapshots(const std::string&, core::milliseconds) override {
        return {};
    }

    ports::kept keep(const std::string&, std::optional<core::wall_time>, core::milliseconds) override { return {}; }

    core::expected<void> set_expiry(const std::string&, const std::string&, std::optional<core::wall_time>,
                                    core::milliseconds) override {
        return {};
    }

    core::expected<void> copy_to(const std::string&, core::milliseconds) override { return {}; }

    core::expected<std::string> daemon(core::milliseconds) override { return "1"; }

    core::expected<void> settle(core::milliseconds) override { return {}; }

    core::expected<ports::snapshot_facts> examine_snapshot(const std::string&, core::milliseconds) override {
        return ports::snapshot_facts{};
    }

    core::expected<bool> has_snapshot(const std::string&, const std::string&, core::milliseconds) override {
        return true;
    }

    core::expected<ports::swapped> change(const ports::instance_change&, const std::string&,
                                          core::milliseconds) override {
        return ports::swapped::done;
    }

    core::expected<void> pause(core::milliseconds) override { return {}; }

    core::expected<void> unpause(core::milliseconds) override { return {}; }

    core::expected<void> snapshot(const std::string&, const std::string&, core::milliseconds,
                                  const std::function<void()>&) override {
        return {};
    }

    core::expected<void> discard(const std::string&, const std::string&, core::milliseconds) override { return {}; }

    core::expected<void> stop(core::milliseconds, core::milliseconds) override { return {}; }

    core::expected<void> restore(const std::string&, const std::string&, core::milliseconds) override { return {}; }

    core::expected<void> start(core::milliseconds) override { return {}; }

    core::expected<void> prove_running(core::milliseconds) override { return {}; }

    core::expected<void> prove_status(core::milliseconds) override { return {}; }
};

} // namespace belay::test
