// SPDX-License-Identifier: Apache-2.0
// Counts the runs of a group and keeps the first few that broke an invariant.
#pragma once
#include "crash/invariants.hpp"

namespace belay::crash {

/// The same without repetitions.
problems once_each(problems found);

/// How many points the outermost loops go on at once: all of them count, unless a sanitizer makes everything slow.
std::size_t stride();

class tally {
public:
    explicit tally(std::string group) : group_(std::move(group)) {}

    /// One more run, from the first process to the last.
    void count() { ++runs_; }

    /// Notes what is wrong with a run. `story` is asked how it came to it only if something is.
    template <class Story>
    bool take(const problems& found, const site& at, Story story) {
        if (found.empty()) {
            return true;
        }
        ++bad_;
        if (bad_ <= most_shown) {
            std::string text = story();
            for (const auto& problem : once_each(found)) {
                text += "\n    " + problem;
            }
            shown_ += text + "\n    journal: " + chain(at.journal) + "\n";
        }
        return false;
    }

    std::size_t runs() const { return runs_; }

    /// Prints the line of the group, and fails the test case when a run was bad.
    void conclude() const;

private:
    static constexpr std::size_t most_shown = 6;

    std::string group_;
    std::size_t runs_{0};
    std::size_t bad_{0};
    std::string shown_;
};

} // namespace belay::crash
