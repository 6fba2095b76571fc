// SPDX-License-Identifier: Apache-2.0
// Builds the report of a transaction from its events, as they come.
#pragma once
#include "core/state.hpp"

namespace belay::core {

class chronicle {
public:
    /// `log_file`: where the output of the command is kept.
    explicit chronicle(std::string log_file = {}) : log_file_(std::move(log_file)) {}

    /// Takes the next event of the stream. Transient ones are passed over.
    void see(const record& r);

    /// The report as it would be if the transaction ended now with this outcome.
    report summary(outcome how) const;

    const state& current() const { return state_; }

private:
    void begin_phase(const record& r, const core::started& e);
    void end_phase(const core::finished& e);
    void take_judgements(const core::finished& e);
    void take_snapshots(const core::finished& e);
    void take_downtime(const finished& e);
    void take_keepsakes(const finished& e);
    void take_time(const record& r);
    bool was_restarted(const event& what);
    std::string message(outcome how) const;

    std::string log_file_;
    state state_;
    std::string txn_;
    std::optional<wall_time> opened_;
    double first_boottime_{};
    double last_boottime_{}; ///< of the first boot, as it were
    double booted_later_{0}; ///< what is added to the time since boot of a later one
    wall_time last_time_{};
    std::string boot_id_; ///< of the process that wrote last
    std::vector<phase> phases_;
    std::vector<judged> checks_;
    std::vector<std::string> warnings_;
    std::optional<int> command_exit_;
    std::vector<std::string> evidence_;
    std::string failed_copy_;
    std::optional<wall_time> expires_;
    bool verified_{false};
    bool ran_command_{false};
    bool snapshot_exists_{false};
    std::optional<double> stopped_at_;
    double downtime_{};
};

} // namespace belay::core
