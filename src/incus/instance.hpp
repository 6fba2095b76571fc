// SPDX-License-Identifier: Apache-2.0
// Port host on a real Incus: one instance of one project, over the REST API.
#pragma once
#include "core/coverage.hpp"
#include "incus/operations.hpp"
#include "incus/standby.hpp"
#include "ports/host.hpp"

#include <map>

namespace belay::incus {

/// All calls but `exec`, `begin` and `prepare` belong to one thread. Those have connections of their own, and may be
/// called from several at once and beside the others.
///
/// Words of errors beyond those of the port: io_error for a request that the daemon refused or could not do (pause,
/// discard, a stop), with the daemon's own words as the cause. Requests that change something repeat themselves while
/// the instance is busy, and are never assumed to have worked: a lost connection or a limit that passed is no_daemon,
/// and before the next restore, start or discard whatever is still under way is awaited.
class instance final : public ports::host {
public:
    /// `program` is the incus client, a path or a name in PATH, for programs on a terminal. Nothing is asked of the
    /// daemon yet.
    instance(std::string socket, std::string project, std::string name, std::string program = "incus");

    /// Whoever is told of each request and program that has ended. Before anything else is called.
    void observe(observer who);

    /// Asks for what `examine` begins with, so that the daemon answers while something else is done. Nothing is waited
    /// for, and there is no error. What is a second old by then is asked again.
    void prepare_examination();

    core::expected<ports::examined> examine(core::milliseconds limit) override;
    core::expected<void> check_restorable(const core::instance_facts& facts, const core::plan& how,
                                          core::milliseconds limit) override;
    core::expected<std::string> daemon(core::milliseconds limit) override;
    core::expected<void> settle(core::milliseconds limit) override;
    core::expected<ports::swapped> change(const ports::instance_change& what, const std::string& etag,
                                          core::milliseconds limit) override;
    core::expected<ports::snapshot_facts> examine_snapshot(const std::string& name, core::milliseconds limit) override;
    core::expected<bool> has_snapshot(const std::string& target, const std::string& name,
                                      core::milliseconds limit) override;
    core::expected<void> pause(core::milliseconds limit) override;
    core::expected<void> unpause(core::milliseconds limit) override;
    core::expected<void> snapshot(const std::string& target, const std::string& name, core::milliseconds limit,
                                  const std::function<void()>& meanwhile = {}) override;
    core::expected<void> discard(const std::string& target, const std::string& name, core::milliseconds limit) override;
    core::expected<void> stop(core::milliseconds graceful, core::milliseconds limit) override;
    core::expected<void> restore(const std::string& target, const std::string& name, core::milliseconds limit) override;
    core::expected<void> schedule_off(const std::string& target, core::milliseconds limit) override;
    core::expected<void> schedule_on(const std::string& target, const std::optional<std::string>& schedule,
                                     core::milliseconds limit) override;
    core::expected<std::vector<core::snapshot_entry>> list_snapshots(const std::string& target,
                                                                     core::milliseconds limit) override;
    core::expected<void> set_expiry(const std::string& target, const std::string& name,
                                    std::optional<core::wall_time> when, core::milliseconds limit) override;
    ports::kept keep(const std::string& name, std::optional<core::wall_time> when, core::milliseconds limit) override;
    core::expected<void> copy_to(const std::string& name, core::milliseconds limit) override;
    core::expected<void> start(core::milliseconds limit) override;
    core::expected<void> prove_running(core::milliseconds limit) override;
    core::expected<void> prove_status(core::milliseconds limit) override;
    void prepare(const ports::guest_command& command, ports::readiness how_far) override;
    std::unique_ptr<ports::begun_program> begin(const ports::guest_command& command, const std::string& mark,
                                                core::milliseconds limit, std::stop_token stop) override;
    core::expected<ports::guest_exit> exec(const ports::guest_command& command, core::milliseconds limit,
                                           const ports::output_sink& sink, std::stop_token stop) override;

private:
    struct described {
        std::string text;
        std::chrono::steady_clock::time_point read;
    };

    static bool is_fresh(std::chrono::steady_clock::time_point read);
    core::expected<response> checked(core::expected<response> r) const;
    core::expected<instance_state> look(const deadline& until);
    core::expected<instance_state> read_state(const response& r);
    core::expected<ports::examined> as_seen(core::expected<response> answer);
    core::expected<std::string> description_now(const deadline& until);
    core::expected<void> identify_server(const core::expected<response>& r);
    void keep_for_later(const std::vector<std::string>& paths, std::vector<core::expected<response>>&& read,
                        std::size_t from);
    core::expected<response> read_before(const std::string& path, const deadline& until);
    std::vector<std::string> first_paths() const;
    core::expected<ports::examined> examine_by(const deadline& until);
    core::expected<ports::examined> read_around(const deadline& until);
    std::vector<std::string> new_pools(const core::instance_facts& facts) const;
    core::expected<void> read_volumes(core::instance_facts& facts, const deadline& until);
    core::expected<void> expiry_outcome(core::expected<void> done, const std::string& target, const std::string& name);
    core::expected<std::vector<core::snapshot_entry>> entries_in(const core::expected<response>& r,
                                                                 const std::string& target);
    core::expected<own_schedule> read_schedule(const std::string& target, const deadline& until);
    core::expected<void> set_schedule(const std::string& target, const std::string& value,
                                      const std::string& description, const deadline& until);
    std::vector<long> copies_now() const;
    std::string project_path() const;
    bool recognize(const std::vector<std::string>& pools);
    static std::string resources_path(const std::string& pool, const std::string& location);
    core::expected<project_state> known_project(const deadline& until);
    core::expected<core::surroundings> ask_about(const core::instance_facts& facts, const core::plan& how,
                                                 const project_state& project, std::vector<task>& under_way,
                                                 const deadline& until);
    void look_at_folders(core::surroundings& seen, const core::instance_facts& facts, const core::plan& how,
                         const project_state& project) const;
    core::expected<void> change_state(const std::string& action, core::milliseconds patience, bool force,
                                      const deadline& until);
    core::expected<void> calm(const deadline& until);
    core::expected<void> await_copies(const deadline& until);
    core::expected<bool> exists(const std::string& path, const deadline& until);
    core::expected<std::vector<std::string>> missing_for(const local_settings& local, const deadline& until);
    bool was_just_eternal(const std::string& path) const;
    core::expected<void> make_eternal(const std::string& target, const std::string& name, const deadline& until);
    std::string path_of(const std::string& target, const std::string& below = {}) const;
    std::string words_for(const std::string& target) const;
    std::string path(const std::string& below = {}) const;
    std::string snapshot_path(const std::string& target, const std::string& name) const;
    core::error in_words(core::error e, core::reason code, std::string sentence) const;
    std::optional<core::expected<void>> prove_in_shell(core::milliseconds limit);
    guest_program program_for(const ports::guest_command& command) const;
    void note_run(const ports::guest_command& command, std::chrono::steady_clock::time_point begin) const;

    operations daemon_;
    std::string name_;
    std::string program_;
    std::optional<server_state> server_;
    std::map<std::string, pool_state> pools_;                              ///< seen so far
    std::map<std::string, response> read_ahead_;                           ///< by path: for the check that follows
    std::map<std::string, std::chrono::steady_clock::time_point> eternal_; ///< snapshots by path, when they were read
    std::optional<ports::examined> proved_; ///< when it was last proved to run, until somebody wants it
    bool may_have_old_{true};               ///< snapshots that a belay took, from before this transaction
    described description_{};               ///< of the instance, when it was last read
    bool ephemeral_{false};
    std::string pool_;
    std::vector<core::volume_name> volumes_; ///< that are attached to the instance
    bool copies_may_run_{true};              ///< a daemon that died may have left some
    observer observer_;
    standby standby_;
    std::optional<guest_program> said_all_; ///< what it printed is known: it may end when it likes
};

} // namespace belay::incus
