// SPDX-License-Identifier: Apache-2.0
// Port: where a transaction is written down.
#pragma once
#include "core/event.hpp"

#include <string>
#include <string_view>

namespace belay::ports {

class journal {
public:
    virtual ~journal() = default;

    /// Appends a record that is not transient. When core::durable(r.what), it and every record before it are on disk
    /// when this returns. Error: io_error, and then nothing of the record counts as written.
    virtual core::expected<void> append(const core::record& r) = 0;

    /// Appends raw output of the command to the log, within its limit. Error: io_error.
    virtual core::expected<void> log(std::string_view bytes) = 0;

    /// Keeps a text beside the journal, as `file` (`packages-before`, `evidence/processes`). Error: io_error.
    virtual core::expected<void> save(const std::string& file, std::string_view text) = 0;

    /// What was saved so. Error: io_error, also when there is none.
    virtual core::expected<std::string> load(const std::string& file) const = 0;

    /// No more output will come: what the limit held back is put in its place. Error: io_error.
    virtual core::expected<void> finish_log() = 0;
};

} // namespace belay::ports
