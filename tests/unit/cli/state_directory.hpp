// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "fakes/event_stream.hpp"
#include "journal/store.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdlib>
#include <filesystem>
#include <unistd.h>

namespace belay::testing {

/// A state directory that goes away.
class state_directory {
public:
    state_directory() {
        char name[] = "/tmp/belay-past-XXXXXX";
        path_ = ::mkdtemp(name);
    }

    state_directory(const state_directory&) = delete;
    state_directory& operator=(const state_directory&) = delete;

    ~state_directory() { std::filesystem::remove_all(path_); }

    const std::filesystem::path& path() const { return path_; }

    /// Writes a journal; the transaction belongs to this process as long as the result lives.
    std::unique_ptr<journal::transaction_journal> write(const fakes::event_stream& events) const {
        auto made = journal::store::open(path_, ::getuid())->create_transaction(events.txn);
        REQUIRE(made);
        for (const auto& r : events.records) {
            if (!core::transient(r.what)) {
                REQUIRE((*made)->append(r));
            }
        }
        return *std::move(made);
    }

    std::filesystem::path journal(const std::string& id = "20260501t120000z-ab12") const {
        return journal::files_of(path_, id).journal;
    }

private:
    std::filesystem::path path_;
};

} // namespace belay::testing
