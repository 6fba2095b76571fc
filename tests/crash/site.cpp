// SPDX-License-Identifier: Apache-2.0
#include "crash/site.hpp"

#include <algorithm>

namespace belay::crash {

namespace {

/// Longer than anything that a fake has under way.
constexpr milliseconds long_enough{3'600'000 * 3};

bool something_goes_on(const site& s) {
    return !s.daemon.settled(s.clock.now) || s.daemon.program;
}

} // namespace

core::state site::known() const {
    core::state state;
    for (const auto& r : journal) {
        core::fold(state, r.what);
    }
    return state;
}

void site::pass(milliseconds time) {
    clock.now += time;
    daemon.catch_up(clock.now);
}

void site::calm_down() {
    if (something_goes_on(*this)) {
        pass(long_enough);
    }
}

bool same_place(const site& a, const site& b) {
    return a.journal.size() == b.journal.size() && a.synced == b.synced && a.decision == b.decision &&
           a.command_began == b.command_began && a.broken == b.broken && a.daemon == b.daemon;
}

std::string loss::name() const {
    std::string text = power ? (lucky ? "power lost, operations just done" : "power lost") : "killed";
    return text + ", " + std::to_string(kept) + " records kept" + (later.count() > 0 ? ", recovered later" : "");
}

std::vector<loss> all_losses(const site& s) {
    std::vector<loss> all;
    const auto whole = s.journal.size();
    for (auto kept = s.synced; kept <= whole; ++kept) {
        all.push_back({kept});
    }
    if (something_goes_on(s)) {
        all.push_back({whole, false, false, long_enough});
    }
    for (const bool lucky : {false, true}) {
        if (!lucky || !s.daemon.under_way.empty()) {
            all.push_back({s.synced, true, lucky});
        }
    }
    return all;
}

std::vector<loss> main_losses(const site& s) {
    std::vector<loss> ends{{s.journal.size()}, {s.synced, true, false}};
    if (s.synced < s.journal.size()) {
        ends.push_back({s.synced});
    }
    return ends;
}

site after(site s, const loss& what) {
    s.journal.resize(what.kept);
    s.synced = what.kept;
    if (what.power) {
        ++s.boot;
        s.daemon.lucky = what.lucky;
        s.daemon.lose_power(s.clock.now);
    }
    if (what.later.count() > 0) {
        s.pass(what.later);
    }
    return s;
}

} // namespace belay::crash
