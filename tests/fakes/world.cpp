// SPDX-License-Identifier: Apache-2.0
#include "fakes/world.hpp"

#include <algorithm>

namespace belay::fakes {

fake_checks::fake_checks(fake_clock& clock, fake_incus& incus, const moments& points)
    : clock_(clock), incus_(incus), points_(points) {}

ports::round fake_checks::run(const std::vector<core::check_spec>& specs,
                              const std::optional<core::check_spec>& listing, const ports::hook_context&,
                              std::stop_token stop) {
    ports::round seen;
    if (listing) {
        seen.listed = list(*listing, stop);
    }
    seen.proved_running = seen.listed.has_value();
    if (specs.empty()) {
        return seen;
    }
    points_.reach("checks", moment::before);
    ++rounds;
    clock_.now += milliseconds{10};
    incus_.catch_up(clock_.now);
    const bool runs = incus_.daemon_up && incus_.facts.running && !incus_.frozen && incus_.program_runs;
    seen.proved_running = seen.proved_running || (proves && runs);
    for (const auto& spec : specs) {
        seen.readings.push_back(answer(spec, incus_, clock_.now));
    }
    return seen;
}

core::expected<core::reading> fake_checks::run_hook(const core::check_spec& hook, const ports::hook_context&,
                                                    const std::string&, std::stop_token stop) {
    BELAY_TRY(const auto, end,
              incus_.exec(
                  {.argv = {"sh", "-c", hook.args.front()}}, hook.timeout, [](auto, auto) {}, stop));
    const bool good = end.how == ports::ended::exited && end.exit_code == 0;
    const auto summary = good ? std::string() : "exit status " + std::to_string(end.exit_code);
    return core::reading{hook.name, hook.where, hook.required, good ? core::health::pass : core::health::fail, summary,
                         {},        {},         0.01};
}

ports::gathering fake_checks::gather(const std::vector<core::check_spec>& collectors,
                                     const std::optional<core::check_spec>& listing, const ports::hook_context&,
                                     milliseconds limit, const std::function<void()>& meanwhile) {
    points_.reach("gather", moment::before);
    const auto begin = clock_.now;
    ++gatherings;
    asked.clear();
    for (const auto& one : collectors) {
        asked.push_back(one.name);
    }
    if (listing) {
        asked.push_back(listing->name);
    }
    if (meanwhile) {
        meanwhile();
    }
    ports::gathering all{found, {}};
    if (listing && !packages_now.empty()) {
        all.listed = packages_now;
    }
    if (hangs) {
        clock_.now = std::max(clock_.now, begin + limit);
    }
    return all;
}

std::optional<std::string> fake_checks::list(const core::check_spec& listing, std::stop_token stop) {
    std::string text;
    const auto end = incus_.exec(
        {.argv = {"sh", "-c", listing.args.front()}}, listing.timeout,
        [&](auto, std::string_view piece) { text += piece; }, stop);
    return end && end->how == ports::ended::exited && end->exit_code == 0 ? std::optional(text) : std::nullopt;
}

core::expected<std::unique_ptr<ports::held_lock>> fake_locks::take(const std::string&, const std::string&,
                                                                   const std::string& instance, const std::string&) {
    if (!taken.insert(instance).second) {
        return core::failure(core::reason::locked, "instance " + instance + " is in another transaction");
    }
    return std::make_unique<released>(taken, instance);
}

core::journal_knowledge fake_locks::knowledge(const std::string& txn, const std::string&) const {
    const auto found = journals.find(txn);
    return found == journals.end() ? core::journal_knowledge::unknown : found->second;
}

std::vector<core::past_run> fake_locks::past(const std::vector<std::string>& txns, const std::string&,
                                             const std::string&) const {
    std::vector<core::past_run> found;
    std::ranges::copy_if(history, std::back_inserter(found), [&](const auto& run) {
        return !run.undoes.empty() || std::ranges::find(txns, run.txn) != txns.end();
    });
    return found;
}

void fake_inbox::interrupt() {
    why_ = core::error{core::reason::interrupted, "interrupted by SIGTERM"};
    source_.request_stop();
}

void fake_inbox::wait(milliseconds duration, std::stop_token stop) {
    if (on_wait) {
        on_wait();
    }
    if (!stop.stop_requested()) {
        clock_.now += duration;
    }
    if (signal_at && clock_.now >= *signal_at && !why_) {
        interrupt();
    }
}

fake_world::fake_world() {
    plan.instance = "web1";
    plan.command.argv = {"upgrade"};
    plan.checks = {{"listening", "/checks/listening", {}}};
}

core::report fake_world::run(const std::string& txn) {
    run::transaction t(ports(), {txn, plan, env, "/state/upgrade.log", baseline});
    return t.run();
}

core::expected<core::report> fake_world::resume(const std::vector<core::record>& past, const std::string& txn) {
    run::transaction t(ports(), {txn, {}, {}, "/state/upgrade.log"});
    return t.resume(past);
}

std::string fake_world::chain() const {
    std::string text;
    for (const auto& r : journal.records) {
        if (const auto* end = std::get_if<core::finished>(&r.what)) {
            text += (text.empty() ? "" : " ") + std::string(core::to_word(end->what.what));
            text += end->how == core::result::ok ? "" : ":" + std::string(core::to_word(end->how));
        } else if (const auto* decision = std::get_if<core::decided>(&r.what)) {
            text += (text.empty() ? "" : " ") + std::string(core::to_word(decision->what)) + "!";
        }
    }
    return text;
}

fake_world::~fake_world() = default;

} // namespace belay::fakes
