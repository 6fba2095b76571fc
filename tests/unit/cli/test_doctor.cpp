// SPDX-License-Identifier: Apache-2.0
// What belay doctor says of journals and checks.
#include "cli/doctor.hpp"

#include "state_directory.hpp"

#include <sys/stat.h>

#include <fstream>

using namespace belay;
using core::act;
using core::journal_knowledge;
using core::weight;
using fakes::event_stream;
using testing::state_directory;
namespace fs = std::filesystem;
using commands = std::vector<std::string>;

namespace {

const std::string txn = "20260501t120000z-ab12";
const std::string recover = "belay recover --state-dir /s";
constexpr core::wall_time deadline{std::chrono::milliseconds{1'777'637'400'000}};
constexpr std::chrono::seconds second{1};

event_stream waiting() {
    event_stream events;
    events.txn = txn;
    events.wait_for_confirmation(deadline);
    return events;
}

event_stream told(void (event_stream::*tell)()) {
    event_stream events;
    events.txn = txn;
    (events.*tell)();
    return events;
}

/// The one thing that is said of the journals.
core::finding said_of(const fs::path& state, core::wall_time now = deadline - second) {
    const auto all = cli::known_past(state, {}).read(recover, now);
    REQUIRE(all.size() == 1);
    return all.front();
}

} // namespace

TEST_CASE("transactions that have ended, well or not, are in order") {
    const state_directory state;
    CHECK(said_of(state.path()).how == weight::fine);
    state.write(told(&event_stream::good));
    CHECK(said_of(state.path()).how == weight::fine);
    CHECK(said_of("/tmp/there-is-no-such").how == weight::fine);
}

TEST_CASE("an interrupted transaction is a finding, one under way or one that waits is a note") {
    const state_directory state;
    {
        const auto owner = state.write(waiting());
        CHECK(said_of(state.path()).how == weight::note);
    }
    const auto waits = said_of(state.path());
    CHECK(waits.how == weight::note);
    CHECK(waits.what.find("belay confirm " + txn) != std::string::npos);
    const auto late = said_of(state.path(), deadline);
    CHECK(late.how == weight::fault);
    CHECK(late.mend == commands{recover});

    const state_directory other;
    other.write(told(&event_stream::up_to_upgrade));
    CHECK(said_of(other.path()).how == weight::fault);
    CHECK(said_of(other.path()).mend == commands{recover});
}

TEST_CASE("a stuck transaction is a finding with the commands that end it by hand") {
    const state_directory state;
    state.write(told(&event_stream::stuck));
    const auto one = said_of(state.path());
    CHECK(one.how == weight::fault);
    CHECK(one.mend == commands{recover});
    CHECK(one.what.find("`incus snapshot restore web1 belay-" + txn + "`") != std::string::npos);
}

TEST_CASE("a damaged journal is moved away by its command, one of a newer belay is not") {
    const state_directory state;
    state.write(told(&event_stream::good));
    std::string text = [&] {
        std::ifstream in(state.journal());
        return std::string{std::istreambuf_iterator<char>(in), {}};
    }();
    auto newer = text;
    for (auto at = newer.find("\"v\":1,"); at != std::string::npos; at = newer.find("\"v\":1,")) {
        newer.replace(at, 6, "\"v\":99,");
    }
    std::ofstream(state.journal()) << newer;
    CHECK(said_of(state.path()).how == weight::fault);
    CHECK(said_of(state.path()).mend.empty());
    text[10] = 'X';
    std::ofstream(state.journal()) << text;
    const auto one = said_of(state.path());
    CHECK(one.how == weight::fault);
    const auto moved = (state.path() / "damaged").string();
    CHECK(one.mend ==
          commands{"mkdir -p " + moved + " && mv " + (state.path() / "transactions" / txn).string() + " " + moved});
}

TEST_CASE("only what had ended before the look at the instances counts as ended") {
    const state_directory state;
    cli::known_past past(state.path(), {});
    past.read(recover, deadline);
    const auto events = told(&event_stream::good);
    state.write(events); // it began and ended in between
    const std::string uuid = events.state().facts ? events.state().facts->uuid : std::string{};
    CHECK(past.word(txn, uuid).how == journal_knowledge::running);
    past.read(recover, deadline);
    CHECK(past.word(txn, uuid).how == journal_knowledge::closed);
    CHECK(past.word(txn, uuid).keeps_snapshot);
    CHECK(past.word("20260501t120000z-0000", uuid).how == journal_knowledge::unknown);
    CHECK(past.word(txn, "another").how == journal_knowledge::other_instance);
}

TEST_CASE("a transaction of another state directory is not unknown, but nothing is said of it") {
    const state_directory own;
    const state_directory other;
    other.write(told(&event_stream::up_to_upgrade));
    cli::known_past past(own.path(), {other.path()});
    const auto all = past.read(recover, deadline);
    REQUIRE(all.size() == 1);
    CHECK(all[0].how == weight::fine);
    CHECK(past.word(txn, "").how == journal_knowledge::open);
}

TEST_CASE("checks that do not load are findings with the command that mends them") {
    const state_directory folder;
    const auto put = [&](const std::string& name, const std::string& text, mode_t mode) {
        std::ofstream(folder.path() / name) << text;
        ::chmod((folder.path() / name).c_str(), mode);
    };
    for (const std::string name : {"listening", "services", "packages"}) {
        put(name, "#!/bin/sh\n", 0755);
    }
    const checks::library library({folder.path()}, 1'000);
    auto all = cli::examine_checks(library);
    REQUIRE(all.size() == 1);
    CHECK(all[0].how == weight::fine);
    put("a", "#!/bin/sh\n", 0644);
    put("b", "#!/bin/sh\n# belay: when=never\n", 0755);
    put("c", "#!/nowhere/python\n# belay: where=host\n", 0755);
    put("d", "#!/usr/bin/env no-such-program\n# belay: where=host\n", 0755);
    put("e", "#!/nowhere/python\n", 0755); // runs in an instance, which may have it
    put("f", "#!/usr/bin/env -S sh -e\n# belay: where=host\n", 0755);
    all = cli::examine_checks(library);
    REQUIRE(all.size() == 4);
    CHECK(all[0].mend == commands{"chmod +x " + (folder.path() / "a").string()});
    CHECK(all[1].what.find("'when'") != std::string::npos);
    CHECK(all[2].what.find("/nowhere/python") != std::string::npos);
    CHECK(all[3].what.find("no-such-program") != std::string::npos);
}

TEST_CASE("a default check that is not installed is a finding, one that is masked is not") {
    const state_directory folder;
    std::ofstream(folder.path() / "listening").close();
    std::ofstream(folder.path() / "services").close();
    const auto all = cli::examine_checks(checks::library({folder.path()}, 1'000));
    REQUIRE(all.size() == 1);
    CHECK(all[0].what.find("packages") != std::string::npos);
}
