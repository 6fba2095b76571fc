// SPDX-License-Identifier: Apache-2.0
// belay doctor: is this host able to run belay? Changes nothing.
#include "cli/clock.hpp"
#include "cli/commands.hpp"
#include "cli/doctor.hpp"
#include "cli/site.hpp"
#include "cli/surroundings.hpp"
#include "core/host_rules.hpp"
#include "core/manual.hpp"
#include "core/text.hpp"
#include "incus/inventory.hpp"
#include "incus/socket.hpp"
#include "journal/survey.hpp"
#include "process/program.hpp"
#include "report/doctor.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

namespace belay::cli {

namespace fs = std::filesystem;

namespace {

constexpr const char* root_state = "/var/lib/belay";

std::string user_name() {
    const auto* entry = getpwuid(geteuid());
    return entry != nullptr ? entry->pw_name : std::to_string(geteuid());
}

/// The group whose members may connect; empty when it is root's.
std::string group_of(const std::string& socket) {
    struct stat about {};

    const auto* entry = stat(socket.c_str(), &about) == 0 ? getgrgid(about.st_gid) : getgrnam("incus-admin");
    return entry != nullptr && entry->gr_gid != 0 ? entry->gr_name : "";
}

bool is_member(const std::string& user, const std::string& group) {
    const auto* who = getpwuid(geteuid());
    const auto* entry = getgrnam(group.c_str());
    if (who == nullptr || entry == nullptr) {
        return false;
    }
    const gid_t wanted = entry->gr_gid;
    std::vector<gid_t> groups(1'024);
    int count = static_cast<int>(groups.size());
    if (getgrouplist(user.c_str(), who->pw_gid, groups.data(), &count) < 0) {
        return false;
    }
    groups.resize(static_cast<std::size_t>(count));
    return std::ranges::find(groups, wanted) != groups.end();
}

/// What a program prints on standard output, without the newline; empty when it cannot be run or prints nothing.
std::string output_of(std::vector<std::string> argv) {
    constexpr core::milliseconds limit{10'000};
    std::string text;
    const auto take = [&](core::output::stream from, std::string_view bytes) {
        text += from == core::output::stream::out && text.size() < 4'096 ? bytes : std::string_view{};
    };
    const auto ended = process::run({.argv = std::move(argv)}, limit, take, {});
    return ended ? core::last_line(text) : std::string{};
}

std::vector<std::string> installing_client() {
    for (const std::string program : {"apt-get", "dnf"}) {
        if (process::find_program(program, process::environment_of({}))) {
            return {program + " install incus-client"};
        }
    }
    return {};
}

class examination {
public:
    examination(const doctor_options& options, fs::path state)
        : state_(std::move(state)), user_(user_name()), past_(state_, others()), recover_("belay recover") {
        if (options.common.state_dir) {
            recover_ += " --state-dir " + core::shell_quote(*options.common.state_dir);
        }
    }

    std::vector<core::finding> all() {
        look_at_socket();
        look_at_client();
        look_at_state();
        look_at_timer();
        add(past_.read(recover_, system_clock().wall()));
        add(examine_checks(installed_checks()));
        add(examine_hooks("evidence", installed_collectors()));
        for (const std::string event : hook_events) {
            add(examine_hooks("hooks.d/" + event, installed_hooks(event)));
        }
        add(examine_recipes(installed_recipes()));
        if (daemon_) {
            look_at_instances();
            look_at_moved();
        }
        return std::move(all_);
    }

private:
    void add(core::finding one) { all_.push_back(std::move(one)); }

    void add(std::vector<core::finding> several) { std::ranges::move(several, std::back_inserter(all_)); }

    std::vector<fs::path> others() const {
        std::vector<fs::path> places{root_state};
        if (const auto home = variable("HOME")) {
            places.push_back(fs::path(*home) / ".local/state/belay");
        }
        std::erase(places, state_);
        return places;
    }

    void look_at_socket() {
        core::socket_facts facts;
        facts.user = user_;
        facts.chosen = variable("INCUS_SOCKET") || variable("INCUS_DIR");
        const auto socket = incus::find_socket(incus::real_surroundings());
        if (!socket) {
            facts.failed = socket.error();
            return add(core::judge_socket(facts));
        }
        facts.path = *socket;
        facts.group = group_of(*socket);
        facts.member = is_member(user_, facts.group);
        incus::operations daemon(*socket, "default");
        const auto answer = daemon.get("/1.0", incus::deadline(request_limit));
        if (answer) {
            server_ = incus::decode_server(answer->body);
            facts.trusted = server_.trusted;
            facts.version = server_.version;
        } else {
            facts.failed = answer.error();
        }
        add(core::judge_socket(facts));
        if (answer && server_.trusted) {
            daemon_.emplace(std::move(daemon));
            add(core::judge_extensions(server_.extensions));
        }
    }

    void look_at_client() {
        const auto program = incus_program();
        if (!program) {
            return add(core::fault("client", core::describe(program.error()), installing_client()));
        }
        add(core::judge_client(*program, output_of({*program, "--version"}), server_.version));
    }

    void look_at_state() {
        const auto facts = journal::survey(state_);
        add(core::judge_directory(facts, geteuid(), user_));
        for (const auto* name : {"transactions", "locks"}) {
            const auto inner = journal::survey(state_ / name);
            if (facts.exists && inner.exists) {
                auto found = core::judge_directory(inner, geteuid(), user_);
                std::erase_if(found,
                              [](const auto& one) { return one.how != core::weight::fault || one.word == "room"; });
                add(std::move(found));
            }
        }
    }

    void look_at_timer() {
        core::timer_facts facts;
        std::error_code ignored;
        facts.systemd = fs::is_directory("/run/systemd/system", ignored);
        facts.serves = geteuid() == 0 && state_ == root_state;
        if (facts.systemd && facts.serves) {
            facts.enabled = output_of({"systemctl", "is-enabled", "belay-recover.timer"});
            facts.active = output_of({"systemctl", "is-active", "belay-recover.timer"});
        }
        add(core::judge_timer(facts));
    }

    core::expected<incus::inventory> read_instances() {
        const incus::deadline until(request_limit * 2);
        auto seen = incus::read_inventory(*daemon_, true, until);
        if (seen || seen.error().code == core::reason::no_daemon) {
            return seen;
        }
        BELAY_TRY(const auto, project, project_name(std::nullopt)); // who may not see all sees his own
        add(core::note("instance", "only the instances of project " + project +
                                       " could be looked at: " + core::describe(seen.error())));
        incus::operations own(daemon_->socket(), project);
        return incus::read_inventory(own, false, until);
    }

    void look_at_instances() {
        const auto seen = read_instances();
        if (!seen) {
            return add(core::fault("instance", "the instances could not be listed: " + core::describe(seen.error())));
        }
        core::onlooker who;
        who.machine_id = journal::read_identity("/").machine_id;
        who.clustered = server_.clustered;
        who.sees_all = geteuid() == 0;
        who.journal = [&](const auto& txn, const auto& uuid) { return past_.word(txn, uuid); };
        who.alive = [&](const auto& holder) { return past_.alive(holder); };
        const auto before = all_.size();
        for (const auto& instance : seen->instances) {
            add(core::leftovers_of(instance, who));
        }
        for (const auto& why : seen->unread) {
            add(core::fault("instance", core::describe(why)));
        }
        if (all_.size() == before) {
            add(core::fine("instance", fmt::format("{} instances, nothing left over on them", seen->instances.size())));
        }
    }

    /// Only root can read the pools, and only below a socket that is the daemon's own.
    void look_at_moved() {
        const auto beside = fs::path(daemon_->socket()).parent_path();
        for (const auto& moved : incus::find_moved(beside == "/run/incus" ? fs::path("/var/lib/incus") : beside)) {
            const auto busy = incus::under_way(*daemon_, moved.project, moved.name, incus::deadline(request_limit));
            if (busy && *busy) {
                continue;
            }
            add(core::fault(
                "moved-aside",
                fmt::format("a restore of instance {} (project {}) was cut short and left {}{}: every later "
                            "restore of it fails",
                            moved.name, moved.project, moved.place.string(), core::moved_suffix),
                {core::mend_of_moved(moved.place.string(), moved.in_place)}));
        }
    }

    fs::path state_;
    std::string user_;
    known_past past_;
    std::string recover_;
    std::optional<incus::operations> daemon_;
    incus::server_state server_;
    std::vector<core::finding> all_;
};

} // namespace

int doctor_command(const doctor_options& options) {
    const auto state = state_directory_of(options.common);
    if (!state) {
        return complain(state.error());
    }
    const auto all = examination(options, *state).all();
    print(options.common.format == output_format::json
              ? report::diagnosis_document(all)
              : report::diagnosis(all, options.common.quiet, report::style_of(STDOUT_FILENO)));
    return std::ranges::find(all, core::weight::fault, &core::finding::how) == all.end() ? 0 : 1;
}

} // namespace belay::cli
