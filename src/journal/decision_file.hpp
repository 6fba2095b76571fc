// SPDX-License-Identifier: Apache-2.0
// Port decisions: the file `decision` of a transaction. A decision is written and synced under another name, then
// published by link(2), which fails when there is one: so the first wins, and nobody sees half a decision.
#pragma once
#include "journal/files.hpp"
#include "ports/decisions.hpp"

#include <filesystem>

namespace belay::journal {

class decision_file final : public ports::decisions {
public:
    /// `file`: see files_of.
    explicit decision_file(std::filesystem::path file, file_ops& files = real_files())
        : file_(std::move(file)), files_(files) {}

    core::expected<std::optional<core::decision>> read() override;
    core::expected<core::decision> publish(const core::decision& wanted) override;

private:
    std::filesystem::path file_;
    file_ops& files_;
};

} // namespace belay::journal
