// SPDX-License-Identifier: Apache-2.0
#include "crash/process.hpp"

#include "crash/invariants.hpp"

#include <stdexcept>

namespace belay::crash {

namespace {

using fakes::fake_world;
using fakes::moment;
using namespace std::chrono_literals;

std::string in_words(const point& p) {
    constexpr std::array<std::string_view, 3> when{"before ", "in ", "after "};
    return std::to_string(p.number) + ", " + std::string(when[static_cast<std::size_t>(p.when)]) + p.what;
}

/// More than any process passes.
constexpr std::size_t most_points = 50'000;

/// A process for as long as it lives: its fakes, on what the site holds.
class process {
public:
    process(site& on, const scenario& s, const intervention& step_in) : on_(on), scenario_(s), step_in_(step_in) {
        s.equip(world);
        world.clock = on.clock;
        world.incus.daemon_side() = on.daemon;
        world.journal.records = on.journal;
        world.journal.synced = on.synced;
        world.decisions.holds = on.decision;
        world.locks.pid = on.pid++;
        world.locks.boot = "boot-" + std::to_string(on.boot);
        world.points.on = [this](std::string_view what, moment when) { reach(what, when); };
    }

    process(const process&) = delete;
    process& operator=(const process&) = delete;

    ~process() {
        on_.clock = world.clock;
        on_.daemon = world.incus.daemon_side();
        on_.journal = std::move(world.journal.records);
        on_.synced = world.journal.synced;
        on_.decision = world.decisions.holds;
    }

    template <class Act>
    life live(Act act) {
        life l;
        try {
            act(l);
        } catch (const killed&) {
            l.how = life::end::killed;
        }
        l.points = point_.number;
        l.calls = world.incus.calls.size();
        l.last = point_.number > 0 ? in_words(point_) : std::string{};
        return l;
    }

    fake_world world;

private:
    void reach(std::string_view what, moment when) {
        point_ = {point_.number + 1, std::string(what), when};
        if (point_.number > most_points) {
            throw std::runtime_error("a process of belay does not come to its end");
        }
        if (what == "upgrade" && when == moment::midway) {
            on_.command_began = true;
        }
        check_rules(on_, world, scenario_, point_);
        if (step_in_) {
            step_in_(world, point_);
        }
    }

    site& on_;
    const scenario& scenario_;
    const intervention& step_in_;
    point point_;
};

bool is_waiting(const site& on, const core::state& known) {
    return known.waits_for_confirmation() && known.until && on.clock.wall() < *known.until && !on.decision;
}

/// As `belay recover` has it: a stuck transaction without its lock, and without a restore since, is somebody else's
/// now.
bool was_ended_by_hand(const site& on, const core::state& known) {
    if (known.end != core::outcome::stuck || !known.ok(core::act::lock) || known.tried(core::act::unlock)) {
        return false;
    }
    const auto key = [&](std::string_view name) {
        const auto found = on.daemon.config.find(std::string(name));
        return found == on.daemon.config.end() ? std::string{} : found->second;
    };
    if (key(core::lock_key_name).starts_with(std::string(txn) + " ") || key(core::restored_key_name) == txn) {
        return false;
    }
    return known.facts->generation == on.daemon.facts.generation && !known.restored();
}

/// Nothing is begun without a daemon.
bool await_daemon(site& on) {
    const auto give_up = on.clock.now + 120s;
    while (!on.daemon.daemon_up && on.clock.now < give_up) {
        on.pass(500ms);
    }
    return on.daemon.daemon_up;
}

} // namespace

intervention kill_at(std::size_t number) {
    return [number](fake_world&, const point& p) {
        if (p.number == number) {
            throw killed{};
        }
    };
}

life run_belay(site& on, const scenario& s, const intervention& step_in, const preparation& prepare) {
    process p(on, s, step_in);
    if (s.first) {
        s.first(p.world);
    }
    if (prepare) {
        prepare(p.world);
    }
    return p.live([&](life& l) {
        l.report = p.world.run();
        l.how = life::end::reported;
    });
}

life recover(site& on, const scenario& s, const intervention& step_in, const preparation& prepare) {
    const auto known = on.known();
    if (on.journal.empty() || (known.end && known.end != core::outcome::stuck)) {
        return {life::end::nothing_to_do};
    }
    if (!known.open) {
        return {life::end::no_beginning}; // the journal does not say what it is about
    }
    if (is_waiting(on, known)) {
        return {life::end::left_waiting};
    }
    if (known.tried(core::act::lock) && !await_daemon(on)) {
        return {life::end::no_daemon};
    }
    if (was_ended_by_hand(on, known)) {
        return {life::end::ended_by_hand};
    }
    process p(on, s, step_in);
    if (prepare) {
        prepare(p.world);
    }
    const auto past = p.world.journal.records;
    return p.live([&](life& l) {
        auto report = p.world.resume(past);
        l.how = report ? life::end::reported : life::end::locked;
        l.report = report ? std::optional(*std::move(report)) : std::nullopt;
    });
}

std::string_view name_of(life::end how) {
    constexpr std::array<std::string_view, 8> names{"reported",  "killed", "nothing to do", "left waiting",
                                                    "no daemon", "locked", "ended by hand", "no beginning"};
    return names[static_cast<std::size_t>(how)];
}

} // namespace belay::crash
