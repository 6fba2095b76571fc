// SPDX-License-Identifier: Apache-2.0
#include "core/event.hpp"

namespace belay::core {

namespace {

template <class... Ts>
struct overloaded : Ts... {
    using Ts::operator()...;
};

/// Whether recovery would go another way if the intent of this act were lost in a crash. The acts of a rollback need
/// no intent on disk: once the decision is there they are repeated, up to a restore whose success is on disk. A discard
/// needs one, because it also puts the outcome before it on disk while the snapshot still exists.
bool intent_matters(act what) {
    switch (what) {
    case act::lock:
    case act::quiesce:
    case act::pause:
    case act::snapshot:
    case act::schedule_off:
    case act::upgrade:
    case act::confirm:
    case act::discard:
        return true;
    case act::preflight:
    case act::baseline:
    case act::pre:
    case act::unpause:
    case act::resume:
    case act::restart:
    case act::verify:
    case act::evidence:
    case act::stop:
    case act::keep_failed:
    case act::restore:
    case act::start:
    case act::reverify:
    case act::schedule_on:
    case act::keep:
    case act::unlock:
        return false;
    }
    return true;
}

bool result_matters(act what) {
    return what == act::snapshot || what == act::restore || what == act::schedule_off || what == act::unpause ||
           what == act::resume;
}

} // namespace

std::string_view type_of(const event& e) {
    return std::visit(overloaded{[](const opened&) { return "opened"; }, [](const started&) { return "started"; },
                                 [](const finished&) { return "finished"; }, [](const decided&) { return "decided"; },
                                 [](const interrupted&) { return "interrupted"; },
                                 [](const warned&) { return "warned"; }, [](const resumed&) { return "resumed"; },
                                 [](const observed&) { return "observed"; }, [](const closed&) { return "closed"; },
                                 [](const output&) { return "output"; }, [](const checked&) { return "checked"; },
                                 [](const soaking&) { return "soaking"; }},
                      e);
}

std::string target_of(const event& e) {
    if (const auto* begin = std::get_if<started>(&e)) {
        return begin->what.target;
    }
    if (const auto* end = std::get_if<finished>(&e)) {
        return end->what.target;
    }
    return {};
}

bool transient(const event& e) {
    return std::holds_alternative<output>(e) || std::holds_alternative<checked>(e) ||
           std::holds_alternative<soaking>(e);
}

bool durable(const event& e) {
    return std::visit(overloaded{[](const opened&) { return false; }, // the intent of the lock puts it on disk
                                 [](const started& x) { return intent_matters(x.what.what); },
                                 [](const finished& x) { return result_matters(x.what.what); },
                                 [](const decided&) { return true; }, [](const interrupted&) { return false; },
                                 [](const warned&) { return false; }, [](const resumed&) { return true; },
                                 [](const observed&) { return false; }, [](const closed&) { return true; },
                                 [](const output&) { return false; }, [](const checked&) { return false; },
                                 [](const soaking&) { return false; }},
                      e);
}

} // namespace belay::core
