// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "fakes/event_stream.hpp"
#include "fakes/temporary_directory.hpp"
#include "journal/store.hpp"

#include <catch2/catch_test_macros.hpp>

#include <filesystem>
#include <unistd.h>

namespace belay::testing {

/// A state directory that goes away.
class state_directory : public fakes::temporary_directory {
public:
    /// Writes a journal; the transaction belongs to this process as long as the result lives.
    std::unique_ptr<journal::transaction_journal> write(const fakes::event_stream& events) const {
        auto made = journal::store::open(path(), ::getuid())->create_transaction(events.txn);
        REQUIRE(made);
        for (const auto& r : events.records) {
            if (!core::transient(r.what)) {
                REQUIRE((*made)->append(r));
            }
        }
        return *std::move(made);
    }

    std::filesystem::path journal(const std::string& id = "20260501t120000z-ab12") const {
        return journal::files_of(path(), id).journal;
    }
};

} // namespace belay::testing
