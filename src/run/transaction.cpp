// SPDX-License-Identifier: Apache-2.0
#include "run/transaction.hpp"

#include "run/outcome.hpp"

#include <utility>

namespace belay::run {

namespace {

/// An event that must not count unless it is written: before the verdict an act is begun, and an upgrade kept or a kept
/// one undone, only with that on disk; and the snapshot of an upgrade is deleted only with the outcome on disk. A pause
/// that could not be ended is undone: a recovery must not give up instead.
bool needs_paper(const core::event& what, const core::state& s) {
    if (const auto* begin = std::get_if<core::started>(&what)) {
        return !s.decision || (begin->what.what == core::act::discard && s.decision == core::verdict::undo);
    }
    if (const auto* end = std::get_if<core::finished>(&what)) {
        return core::failed_to_resume(s, *end);
    }
    if (const auto* decision = std::get_if<core::decided>(&what)) {
        return decision->what == core::verdict::commit || (decision->what == core::verdict::undo && s.how.undoes_kept);
    }
    return false;
}

} // namespace

transaction::transaction(world w, request r) : world_(w), request_(std::move(r)), chronicle_(request_.log_file) {}

core::report transaction::run() {
    const auto self = world_.locks.self(request_.txn);
    emit(core::opened{request_.plan, self.pid, self.boot_id, request_.baseline});
    return drive();
}

core::report transaction::drive() {
    while (!state().end && !left_) {
        notice_interruption();
        const auto step = core::next(state());
        std::visit([this](const auto& what) { take(what); }, step);
    }
    held_.reset();
    return report_;
}

void transaction::notice_interruption() {
    if (interruption_noticed_ || state().decision) {
        return;
    }
    if (auto why = world_.inbox.interruption()) {
        interruption_noticed_ = true;
        emit(core::interrupted{*std::move(why)});
    }
}

void transaction::take(const core::perform& what) {
    auto until = what.until;
    if (what.what.what == core::act::confirm && !until) {
        until = world_.clock.wall() + plan().limit.confirm;
    }
    if (!emit(core::started{what.what, what.attempt, until})) {
        if (state().decision) {
            auto undone = failed({core::reason::io_error,
                                  "the outcome could not be written down: it stays until `belay recover` can do that"});
            undone.what = what.what;
            undone.attempt = what.attempt;
            emit(std::move(undone));
        }
        return;
    }
    proved_running_ = proved_running_ && what.what.what == core::act::verify;
    const auto begin = world_.clock.monotonic();
    auto end = attempt({what.what, what.attempt, what.cancellable, until});
    end.what = what.what;
    end.attempt = what.attempt;
    end.seconds = std::chrono::duration<double>(world_.clock.monotonic() - begin).count();
    interruption_noticed_ = interruption_noticed_ || end.how == core::result::cancelled;
    emit(std::move(end));
}

void transaction::take(const core::decide& what) {
    end_beside(); // of a command that did not begin
    emit(core::decided{what.what});
}

void transaction::take(const core::close& what) {
    report_ = chronicle_.summary(what.how);
    emit(core::closed{report_});
}

/// Shown as the end that it is for this process, and not journalled: a recovery finds the transaction open.
void transaction::take(const core::leave& what) {
    left_ = true;
    report_ = chronicle_.summary(what.how);
    show(core::closed{report_});
}

core::record transaction::recorded(core::event what) {
    return {core::record::version, ++seq_,          world_.clock.wall(), world_.clock.boottime(),
            request_.txn,          instance_name(), std::move(what)};
}

/// Shows an event that is not journalled.
void transaction::show(core::event what) {
    world_.listener.on(recorded(std::move(what)));
}

/// Appends a record, after those that could not be appended before: what is in the journal has no gap.
core::expected<void> transaction::write_down(const core::record& r) {
    while (!unwritten_.empty()) {
        BELAY_TRY_VOID(world_.journal.append(unwritten_.front()));
        unwritten_.erase(unwritten_.begin());
    }
    return world_.journal.append(r);
}

/// Journals an event, folds it and shows it. False when it could not be written and therefore does not count.
bool transaction::emit(core::event what) {
    const auto r = recorded(std::move(what));
    const auto written = write_down(r);
    const bool counts = written || !needs_paper(r.what, state());
    if (counts && !written) {
        unwritten_.push_back(r);
    }
    if (counts) {
        chronicle_.see(r);
        world_.listener.on(r);
    }
    if (!written) {
        notice_lost_record(written.error());
    }
    return counts;
}

/// The first record that is lost ends what is undecided; after the decision it is worth one warning. Nothing is written
/// behind `closed`: without it a recovery finds the transaction open.
void transaction::notice_lost_record(const core::error& why) {
    if (std::exchange(record_lost_, true)) {
        return;
    }
    if (state().end) {
        show(core::warned{core::describe(why)});
    } else if (!state().decision && !interruption_noticed_) {
        interruption_noticed_ = true;
        emit(core::interrupted{why});
    } else {
        emit(core::warned{core::describe(why)});
    }
}

core::finished transaction::attempt(const core::perform& what) {
    using core::act;
    switch (what.what.what) {
    case act::preflight:
        return preflight();
    case act::lock:
        return lock();
    case act::baseline:
        return baseline(what.attempt);
    case act::pre:
        return pre();
    case act::quiesce:
        return quiesce();
    case act::pause:
        return pause();
    case act::snapshot:
        return snapshot(what.what.target, what.attempt);
    case act::unpause:
        return unpause();
    case act::resume:
        return resume_hook();
    case act::schedule_off:
        return switch_schedule_off(what.what.target);
    case act::upgrade:
        return upgrade();
    case act::restart:
        return restart();
    case act::verify:
        return verify(what.attempt);
    case act::confirm:
        return confirm(what);
    case act::evidence:
        return evidence();
    case act::stop:
        return stop(what.attempt);
    case act::keep_failed:
        return keep_failed();
    case act::restore:
        return restore(what.what.target);
    case act::start:
        return start();
    case act::reverify:
        return reverify(what.attempt);
    case act::schedule_on:
        return switch_schedule_on(what.what.target);
    case act::keep:
        return keep();
    case act::discard:
        return discard(what.what.target);
    case act::unlock:
        return unlock();
    }
    return {};
}

} // namespace belay::run
