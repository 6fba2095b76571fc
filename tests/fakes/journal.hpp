// SPDX-License-Identifier: Apache-2.0
// Where a fake transaction is written down: a journal that knows what was synced, and what was decided about a
// confirmation. Both can fail.
#pragma once
#include "fakes/clock.hpp"
#include "ports/decisions.hpp"
#include "ports/journal.hpp"

#include <map>
#include <vector>

namespace belay::fakes {

class fake_journal : public ports::journal {
public:
    explicit fake_journal(const moments& points) : points_(points) {}

    std::vector<core::record> records;
    std::size_t synced{0};
    std::string logged;
    std::function<bool(const core::record&)> fails = [](const core::record&) { return false; };
    std::function<bool(const core::record&)> sync_fails = [](const core::record&) { return false; };

    core::expected<void> append(const core::record& r) override;

    core::expected<void> log(std::string_view bytes) override;

    core::expected<void> finish_log() override { return {}; }

    std::map<std::string, std::string> saved; ///< beside the journal

    std::function<bool(const std::string& file)> save_fails = [](const std::string&) { return false; };

    core::expected<void> save(const std::string& file, std::string_view text) override;

    core::expected<std::string> load(const std::string& file) const override;

private:
    /// After a sync that failed nobody knows what is on disk: the record is taken back, and nothing is written any
    /// more.
    core::expected<void> sync(const core::record& r);

    const moments& points_;
    bool broken_{false};
};

/// A decision in memory; the first wins. It is on disk when it is published.
class fake_decisions : public ports::decisions {
public:
    explicit fake_decisions(const moments& points) : points_(points) {}

    std::optional<core::decision> holds;
    std::function<std::optional<core::decision>()> from_outside; ///< what another process publishes meanwhile

    core::expected<std::optional<core::decision>> read() override;

    core::expected<core::decision> publish(const core::decision& wanted) override;

private:
    const moments& points_;
};

} // namespace belay::fakes
