// SPDX-License-Identifier: Apache-2.0
// Who watches a transaction: the view for people or the stream for programs, the log, and the timings.
#pragma once
#include "cli/arguments.hpp"
#include "cli/timings.hpp"
#include "ports/clock.hpp"
#include "ports/listener.hpp"
#include "report/style.hpp"

#include <memory>
#include <vector>

namespace belay::cli {

/// Every listener gets every event.
class audience : public ports::listener {
public:
    void add(ports::listener* one) {
        if (one != nullptr) {
            all_.push_back(one);
        }
    }

    void on(const core::record& r) override {
        for (auto* one : all_) {
            one->on(r);
        }
    }

    void recall(const core::record& r) override {
        for (auto* one : all_) {
            one->recall(r);
        }
    }

private:
    std::vector<ports::listener*> all_;
};

class spectators {
public:
    /// What the options ask for, on standard output and standard error. `clock` must outlive this.
    spectators(const common_options& common, const ports::clock& clock);

    ports::listener& listener() { return audience_; }

    const report::style& look() const { return look_; }

    /// For whoever asks the daemon; empty without --timings. This must outlive it.
    incus::observer observer() { return timings_ ? timings_->observer() : incus::observer{}; }

    /// For the journal.
    journal::file_ops& files() { return timings_ ? timings_->files() : journal::real_files(); }

private:
    report::style look_;
    std::unique_ptr<ports::listener> view_;
    std::unique_ptr<ports::listener> log_;
    std::unique_ptr<timings> timings_;
    std::unique_ptr<ports::listener> halt_;
    audience audience_;
};

} // namespace belay::cli
