// SPDX-License-Identifier: Apache-2.0
// Plays the rules without a driver.
#pragma once
#include "core/next.hpp"

#include <string>

namespace belay::testing {

/// Plays events until `next` has nothing to do; `result_of` says how each act ends, `seen` what the host says when it
/// is asked. What comes out is the chain of acts, verdicts with `!`, and the outcome.
template <class Result>
std::string play(core::state s, Result result_of, const core::observed& seen = {.settled = true}) {
    std::string chain;
    for (int i = 0; i < 200; ++i) {
        const auto todo = core::next(s);
        if (const auto* act = std::get_if<core::perform>(&todo)) {
            core::fold(s, core::started{act->what, act->attempt});
            core::finished end{.what = act->what, .attempt = act->attempt, .how = result_of(act->what, act->attempt)};
            end.why = {core::reason::io_error, "failed"};
            core::fold(s, end);
            chain += std::string(core::to_word(act->what.what)) + " ";
        } else if (const auto* decision = std::get_if<core::decide>(&todo)) {
            core::fold(s, core::decided{decision->what});
            chain += std::string(core::to_word(decision->what)) + "! ";
        } else if (const auto* end = std::get_if<core::close>(&todo)) {
            return chain + std::string(core::to_word(end->how));
        } else if (const auto* part = std::get_if<core::leave>(&todo)) {
            return chain + "leaves " + std::string(core::to_word(part->how));
        } else if (std::holds_alternative<core::observe>(todo)) {
            core::fold(s, seen);
            chain += "observe ";
        } else {
            return chain + "nothing";
        }
    }
    return chain + "without end";
}

inline constexpr auto all_ok = [](const core::key&, int) { return core::result::ok; };

} // namespace belay::testing
