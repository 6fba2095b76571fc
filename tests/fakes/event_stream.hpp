// SPDX-License-Identifier: Apache-2.0
// A hand-made stream of events, with a clock that moves only when a phase takes time. For readers of the stream.
#pragma once
#include "core/chronicle.hpp"

#include <functional>
#include <string>
#include <vector>

namespace belay::fakes {

/// Makes the records of one transaction, in order. Each goes to `sink` as it is made and into `records`.
class event_stream {
public:
    using sink = std::function<void(const core::record&)>;

    explicit event_stream(sink to = {});

    std::string txn = "20260501t120000z-ab12";
    core::plan plan = usual_plan();
    std::vector<core::record> records;

    static core::plan usual_plan();

    /// Appends an event; time goes on by so many seconds before it.
    void add(core::event what, double seconds = 0);

    /// Hands out a record that is not remembered.
    void pass(const core::record& r) const;

    void open() { add(core::opened{plan}); }

    void begin(core::act what);

    /// The end of an act that began; `change` fills in what is special.
    void end(core::act what, double seconds, const std::function<void(core::finished&)>& change = {});

    void phase(core::act what, double seconds, const std::function<void(core::finished&)>& change = {});

    void print(std::string bytes, core::output::stream from = core::output::stream::out);

    void decide(core::verdict what) { add(core::decided{what}); }

    void close(core::outcome how) { add(core::closed{chronicle_.summary(how)}); }

    const core::report& report() const { return std::get<core::closed>(records.back().what).summary; }

    const core::state& state() const { return chronicle_.current(); }

    core::report summary(core::outcome how) const { return chronicle_.summary(how); }

    static std::vector<core::reading> baseline_readings();

    /// Everything up to the snapshot.
    void up_to_upgrade();

    /// An upgrade that waits for a confirmation.
    void wait_for_confirmation(core::wall_time until);

    std::vector<core::judged> judgement(bool good) const;

    void verify_well();

    void go_back();

    void upgrade_fails();

    // Whole transactions.

    void good();

    void bad_command();

    void bad_check();

    void stuck();

private:
    static core::key key_of(core::act what);

    sink to_;
    core::chronicle chronicle_{"/var/lib/belay/transactions/20260501t120000z-ab12/upgrade.log"};
    double boottime_{0};
    int attempt_{0};
};

} // namespace belay::fakes
