// SPDX-License-Identifier: Apache-2.0
// Turns events into what people are told, one notice at a time. The views differ only in how a notice looks.
#pragma once
#include "core/event.hpp"
#include "report/coverage_text.hpp"

#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace belay::report {

/// What a person can do, and the command that does it.
using ways = std::vector<std::pair<std::string, std::string>>;

/// A phase begins. `detail` says what is going to happen in it, when that is worth a line.
struct phase_began {
    core::act what{};
    std::string label;
    std::string detail;
    bool interactive{false}; ///< the command owns the terminal until the phase ends
    ways open{};             ///< what decides about a phase that waits for somebody
    bool asks{false};        ///< and a person at this terminal may decide by a key
};

/// A phase ended for good.
struct phase_ended {
    core::act what{};
    std::string label;
    double seconds{};
    bool ok{};
    std::string message;              ///< empty when ok, and when the checks say it all
    std::vector<core::judged> checks; ///< its last round
    bool against_baseline{false};     ///< the column `final` is the one to show
};

/// What a phase is doing now: a round that failed, an attempt that is repeated, a soak, a confirmation that is waited
/// for. `news` is false when the same was said before.
struct phase_status {
    std::string text;
    bool news{false};
    double seconds_left{0}; ///< more than 0 while it soaks or waits
};

/// Something beside the phases: the head line, a decision, a warning, what came of the phase before.
struct remark {
    enum class kind { head, warning, decision, detail };
    kind how{kind::head};
    std::string text;
};

struct ended {
    core::report summary;
};

/// Why a run is refused whose snapshot would not hold everything: the disks, and the options that accept it.
struct not_covered {
    std::vector<coverage_row> rows;
    std::string options;
};

using notice = std::variant<phase_began, phase_ended, phase_status, remark, not_covered, ended>;

class narrator {
public:
    /// What there is to say about an event; output is no business of the narrator. A new `opened` starts anew. Texts
    /// may hold what the instance said: they are not safe for a terminal yet.
    std::vector<notice> see(const core::record& r);

    /// The instance that the events are about.
    const std::string& instance() const { return instance_; }

private:
    void add(const core::opened& e, std::vector<notice>& told);
    void add(const core::started& e, std::vector<notice>& told);
    void add(const core::finished& e, std::vector<notice>& told);
    void add(const core::decided& e, std::vector<notice>& told);
    void add(const core::interrupted& e, std::vector<notice>& told);
    void add(const core::warned& e, std::vector<notice>& told);
    void add(const core::resumed& e, std::vector<notice>& told);

    void add(const core::observed&, std::vector<notice>&) {}

    void add(const core::closed& e, std::vector<notice>& told);

    void add(const core::output&, std::vector<notice>&) {}

    void add(const core::checked& e, std::vector<notice>& told);
    void add_round_of_confirm(const std::string& discontented, std::vector<notice>& told);
    void add(const core::soaking& e, std::vector<notice>& told);

    std::string label_of(const core::key& what) const;
    std::string detail_of(const core::started& e) const;
    std::string detail_of_moment(core::act what) const;
    void end_commit(std::vector<notice>& told);
    void tell_results(const core::finished& e, std::vector<notice>& told) const;

    std::string txn_;
    std::string instance_;
    core::plan how_;
    std::optional<core::verdict> decision_;
    std::optional<phase_ended> commit_; ///< the acts of the commit so far: to people they are one phase
    double seconds_{0};                 ///< of the attempts of the current act
    std::optional<core::key> repeats_;  ///< the act whose last attempt failed for now
    std::string said_;                  ///< the last trouble of the current act
    bool soaks_{false};
    bool goes_on_{false}; ///< another process has begun the transaction
    int round_{0};
};

/// What a check saw, in one line: its summary, or what is worse than before.
std::string describe(const core::judged& check, bool against_baseline);

} // namespace belay::report
