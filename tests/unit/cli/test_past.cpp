// SPDX-License-Identifier: Apache-2.0
// What is known of transactions from their journals, whatever state they are in.
#include "cli/past.hpp"

#include "fakes/event_stream.hpp"
#include "state_directory.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <unistd.h>

using namespace belay;
using core::act;
using core::outcome;
using fakes::event_stream;
using report::ending;
using testing::state_directory;
namespace fs = std::filesystem;
using json = nlohmann::json;

namespace {

const std::string txn = "20260501t120000z-ab12";
constexpr core::wall_time deadline{std::chrono::milliseconds{1'777'637'400'000}};

core::opened opened_by(long pid) {
    return {event_stream::usual_plan(), pid, "boot", {}};
}

/// An upgrade that waits for a confirmation.
event_stream waiting(const std::string& id = txn, const std::string& instance = "web1") {
    event_stream events;
    events.txn = id;
    events.plan.instance = instance;
    events.wait_for_confirmation(deadline);
    return events;
}

event_stream kept(const std::string& id, const std::string& instance = "web1") {
    event_stream events;
    events.txn = id;
    events.plan.instance = instance;
    events.good();
    return events;
}

report::history_entry entry(const std::string& id, outcome how, const std::string& undoes = {},
                            const std::string& instance = "web1", const std::string& project = "default") {
    report::history_entry one;
    one.summary.transaction = id;
    one.summary.instance = instance;
    one.summary.project = project;
    one.summary.how = how;
    one.summary.undoes = undoes;
    return one;
}

/// By which transaction each was taken back, "" for those that were not.
std::vector<std::string> superseded(std::vector<report::history_entry> entries) {
    cli::mark_superseded(entries);
    std::vector<std::string> by;
    for (const auto& one : entries) {
        by.push_back(one.superseded_by);
    }
    return by;
}

using list = std::vector<std::string>;

} // namespace

TEST_CASE("a transaction that has ended is known by its report") {
    const state_directory state;
    const auto events = kept(txn);
    state.write(events);
    const auto known = cli::load_known(state.path(), txn);
    REQUIRE(known);
    CHECK(known->begun);
    CHECK_FALSE(known->owned);
    CHECK_FALSE(known->torn);
    CHECK(known->state.end == outcome::committed);
    CHECK(known->so_far == events.report());
    const auto whole = cli::load_whole(state.path(), txn);
    REQUIRE(whole);
    CHECK(whole->how == ending::closed);
    CHECK_FALSE(whole->until);
    CHECK(cli::load_summary(state.path(), txn)->summary == events.report());
    auto brief = events.report();
    REQUIRE_FALSE(brief.phases.empty());
    brief.phases.clear();
    brief.checks.clear();
    CHECK(cli::load_summary(state.path(), txn, codec::detail::brief)->summary == brief);
}

TEST_CASE("a transaction that was interrupted is known by how far it came, and by what ends it") {
    const state_directory state;
    event_stream events;
    events.add(opened_by(4711));
    events.phase(act::preflight, 1);
    events.phase(act::lock, 1);
    events.phase(act::snapshot, 1);
    events.begin(act::upgrade);
    state.write(events);
    const auto known = cli::load_known(state.path(), txn);
    REQUIRE(known);
    CHECK(known->begun);
    CHECK_FALSE(known->owned);
    CHECK(known->pid == 4711);
    CHECK_FALSE(known->state.end);
    CHECK(known->state.pending == core::key{act::upgrade, {}});
    CHECK(known->so_far.transaction == txn);
    CHECK(known->so_far.phases.back().name == "upgrade");
    CHECK(known->so_far.manual.empty());
    for (const auto& past : {cli::load_whole(state.path(), txn), cli::load_summary(state.path(), txn)}) {
        REQUIRE(past);
        CHECK(past->how == ending::interrupted);
        CHECK(past->summary.manual == list{"incus stop --force web1", "incus snapshot restore web1 belay-" + txn,
                                           "incus config unset web1 user.belay.transaction", "incus start web1"});
    }
}

TEST_CASE("a transaction that a process works on runs, and is ended by nobody else") {
    const state_directory state;
    event_stream events;
    events.add(opened_by(4711));
    events.begin(act::preflight);
    const auto held = state.write(events);
    CHECK(cli::load_known(state.path(), txn)->owned);
    const auto past = cli::load_whole(state.path(), txn);
    REQUIRE(past);
    CHECK(past->how == ending::running);
    CHECK(past->summary.manual.empty());
}

TEST_CASE("a transaction that waits is known with its deadline, with and without a process") {
    const state_directory state;
    auto held = state.write(waiting());
    for (const bool owned : {true, false}) {
        const auto known = cli::load_known(state.path(), txn);
        REQUIRE(known);
        CHECK(known->owned == owned);
        CHECK(known->state.waits_for_confirmation());
        CHECK(known->state.until == deadline);
        const auto past = cli::load_summary(state.path(), txn);
        REQUIRE(past);
        CHECK(past->how == ending::waiting);
        CHECK(past->until == deadline);
        CHECK(past->summary.manual.empty());
        held.reset();
    }
}

TEST_CASE("the process of a transaction that went on is the one that wrote last") {
    const state_directory state;
    event_stream events;
    events.add(opened_by(4711));
    events.phase(act::preflight, 1);
    events.add(core::resumed{4712, "boot"});
    state.write(events);
    CHECK(cli::load_known(state.path(), txn)->pid == 4712);
}

TEST_CASE("a stuck transaction has ended with its commands, until somebody goes on with it") {
    const state_directory state;
    event_stream events;
    events.stuck();
    const auto ended = events.report();
    {
        const auto journal = state.write(events);
        CHECK(cli::load_known(state.path(), txn)->so_far.manual == ended.manual);
    }
    CHECK(cli::load_summary(state.path(), txn)->how == ending::closed);
    CHECK(cli::load_known(state.path(), txn)->state.end == outcome::stuck);
    {
        auto resumed = journal::store::open(state.path(), ::getuid())->resume_transaction(txn);
        REQUIRE(resumed);
        events.add(core::resumed{4712, "boot"});
        REQUIRE(resumed->journal->append(events.records.back()));
        CHECK(cli::load_summary(state.path(), txn)->how == ending::running);
    }
    const auto known = cli::load_known(state.path(), txn);
    REQUIRE(known);
    CHECK_FALSE(known->state.end);
    CHECK(known->so_far.transaction == txn);
    CHECK(known->so_far.manual.empty());
    CHECK(cli::load_summary(state.path(), txn)->how == ending::interrupted);
}

TEST_CASE("a torn last line does not count, and is told") {
    const state_directory state;
    event_stream events = waiting();
    state.write(events);
    fs::resize_file(state.journal(), fs::file_size(state.journal()) - 4);
    const auto known = cli::load_known(state.path(), txn);
    REQUIRE(known);
    CHECK(known->torn);
    CHECK(known->begun);
    CHECK_FALSE(known->state.tried(act::confirm));
    CHECK(cli::load_whole(state.path(), txn)->how == ending::interrupted);
}

TEST_CASE("a transaction whose process died before its first line is known, and has not begun") {
    const state_directory state;
    state.write(event_stream{});
    SECTION("the journal is empty") {}
    SECTION("there is no journal") {
        fs::remove(state.journal());
    }
    SECTION("its only line is torn") {
        std::ofstream(state.journal()) << R"({"v":1,"seq":1,"ti)";
    }
    const auto known = cli::load_known(state.path(), txn);
    REQUIRE(known);
    CHECK_FALSE(known->begun);
    CHECK_FALSE(known->state.end);
    CHECK(known->so_far.transaction == txn);
    const auto past = cli::load_summary(state.path(), txn);
    REQUIRE(past);
    CHECK(past->how == ending::interrupted);
    CHECK(past->summary.manual.empty());
}

TEST_CASE("a journal that is damaged is an error, and the others are shown all the same") {
    const state_directory state;
    state.write(kept("20260501t120000z-0001"));
    state.write(kept("20260501t120000z-0002"));
    state.write(waiting("20260501t120000z-0003"));
    std::ofstream(state.journal("20260501t120000z-0002")) << "garbage\nmore\n";
    CHECK_FALSE(cli::load_known(state.path(), "20260501t120000z-0002"));
    CHECK_FALSE(cli::load_known(state.path(), "20260501t120000z-0009"));
    std::vector<core::error> unreadable;
    const auto all = cli::load_history(state.path(), unreadable);
    REQUIRE(all);
    REQUIRE(all->size() == 2);
    CHECK((*all)[0].summary.transaction == "20260501t120000z-0001");
    CHECK((*all)[1].how == ending::waiting);
    REQUIRE(unreadable.size() == 1);
    CHECK(unreadable[0].message.find("20260501t120000z-0002") != std::string::npos);
}

TEST_CASE("a long history is whole and in its order") {
    const state_directory state;
    list wanted;
    for (int i = 0; i < 250; ++i) {
        const auto id = fmt::format("202605{:02d}t12{:02d}00z-ab12", 1 + i / 60, i % 60);
        state.write(kept(id));
        wanted.push_back(id);
    }
    std::ofstream(state.journal(wanted[120])) << "garbage\nmore\n";
    wanted.erase(wanted.begin() + 120);
    std::ofstream(state.journal(wanted.back())) << "garbage\nmore\n";
    wanted.pop_back();
    std::vector<core::error> unreadable;
    list newest;
    cli::see_newest see;
    if (GENERATE(false, true)) {
        see = [&](std::span<const report::history_entry> first) {
            std::ranges::transform(first, std::back_inserter(newest),
                                   [](const auto& e) { return e.summary.transaction; });
            std::ranges::sort(newest);
            CHECK(newest == list(wanted.end() - static_cast<long>(cli::seen_first) + 1, wanted.end()));
        };
    }
    const auto all = cli::load_history(state.path(), unreadable, codec::detail::brief, see);
    REQUIRE(all);
    CHECK(newest.empty() != static_cast<bool>(see));
    REQUIRE(unreadable.size() == 2);
    CHECK(unreadable[0].message < unreadable[1].message); // in their order, too
    list found;
    for (const auto& one : *all) {
        found.push_back(one.summary.transaction);
    }
    CHECK(found == wanted);
}

TEST_CASE("an undo supersedes the upgrade that it takes back and those that were kept since") {
    const auto undone = outcome::rolled_back;
    CHECK(superseded({entry("1", outcome::committed), entry("2", undone, "1")}) == list{"2", ""});
    CHECK(superseded({entry("1", outcome::committed), entry("2", outcome::committed), entry("3", outcome::committed),
                      entry("4", undone, "2"), entry("5", outcome::committed)}) == list{"", "4", "4", "", ""});
    CHECK(superseded({entry("1", outcome::committed), entry("2", outcome::rolled_back_unhealthy, "1")}) ==
          list{"2", ""});
}

TEST_CASE("the first undo of an upgrade counts") {
    CHECK(superseded({entry("1", outcome::committed), entry("2", outcome::committed),
                      entry("3", outcome::rolled_back, "2"), entry("4", outcome::rolled_back, "1")}) ==
          list{"4", "3", "", ""});
}

TEST_CASE("an undo that undid nothing supersedes nothing") {
    for (const auto how : {outcome::refused, outcome::stuck}) {
        CHECK(superseded({entry("1", outcome::committed), entry("2", how, "1")}) == list{"", ""});
    }
    auto open = entry("2", outcome::rolled_back, "1");
    for (const auto how : {ending::running, ending::interrupted, ending::waiting}) {
        open.how = how;
        CHECK(superseded({entry("1", outcome::committed), open}) == list{"", ""});
    }
    // A rollback of its own is no undo of another one.
    CHECK(superseded({entry("1", outcome::committed), entry("2", outcome::rolled_back)}) == list{"", ""});
}

TEST_CASE("only what was kept, of the same instance in the same project, is superseded") {
    auto open = entry("2", outcome::committed);
    open.how = ending::interrupted;
    CHECK(superseded({entry("1", outcome::committed), open, entry("3", outcome::rolled_back),
                      entry("4", outcome::committed, "", "web2"), entry("5", outcome::committed, "", "web1", "lab"),
                      entry("6", outcome::rolled_back, "1")}) == list{"6", "", "", "", "", ""});
}

TEST_CASE("of an instance the transaction is meant that waits, else the newest") {
    const state_directory state;
    state.write(kept("20260501t120000z-0001"));
    state.write(waiting("20260501t120000z-0002"));
    state.write(waiting("20260501t120000z-0003"));
    state.write(kept("20260501t120000z-0004"));
    state.write(waiting("20260501t120000z-0005", "web2"));
    state.write(kept("20260501t120000z-0006", "web3"));
    const auto asked = [&](const std::string& text, const std::string& project = "default") {
        return cli::find_asked(state.path(), text, project);
    };
    CHECK(asked("web1") == "20260501t120000z-0003");
    CHECK(asked("web2") == "20260501t120000z-0005");
    CHECK(asked("web3") == "20260501t120000z-0006");
    CHECK(asked("20260501t120000z-0001") == "20260501t120000z-0001"); // whatever it is
    for (const auto& nobody : {asked("web9"), asked("web1", "lab"), asked("20260501"), asked("")}) {
        REQUIRE_FALSE(nobody);
        CHECK(nobody.error().code == core::reason::usage);
    }
}

TEST_CASE("a transaction without an outcome has none as JSON, but a state") {
    const state_directory state;
    auto held = state.write(waiting());
    auto one = json::parse(cli::as_json(*cli::load_whole(state.path(), txn)));
    CHECK(one["outcome"].is_null());
    CHECK(one["reason"].is_null());
    CHECK(one["exit_code"].is_null());
    CHECK(one["state"] == "waiting");
    CHECK(one["confirm_until"] == "2026-05-01T12:10:00.000Z");
    CHECK(one["instance"] == "web1");

    event_stream events;
    events.txn = "20260501t120000z-0002";
    events.up_to_upgrade();
    held = state.write(events);
    CHECK(json::parse(cli::as_json(*cli::load_whole(state.path(), events.txn)))["state"] == "running");
    held.reset();
    one = json::parse(cli::as_json(*cli::load_whole(state.path(), events.txn)));
    CHECK(one["state"] == "interrupted");
    CHECK_FALSE(one.contains("confirm_until"));
    CHECK(one["manual"].size() == 2);
}

TEST_CASE("an upgrade that was taken back is superseded as JSON, with what took it back") {
    auto entries = std::vector{entry("1", outcome::committed), entry("2", outcome::rolled_back, "1")};
    cli::mark_superseded(entries);
    const auto all = json::parse(cli::as_json(entries));
    REQUIRE(all.size() == 2);
    CHECK(all[0]["outcome"] == "superseded");
    CHECK(all[0]["state"] == "superseded");
    CHECK(all[0]["superseded_by"] == "2");
    CHECK(all[1]["outcome"] == "rolled-back");
    CHECK(all[1]["undoes"] == "1");
    CHECK_FALSE(all[1].contains("state"));
}

namespace {

constexpr core::wall_time now{std::chrono::milliseconds{1'777'636'800'000}};
constexpr auto day = std::chrono::hours{24};

/// An upgrade that was kept, whose snapshot expires then; 0: never.
report::history_entry kept_until(const std::string& id, std::chrono::hours left, const std::string& instance = "web1") {
    auto one = entry(id, outcome::committed, "", instance);
    one.summary.snapshot = "belay-" + id;
    if (left != std::chrono::hours{0}) {
        one.summary.snapshot_expires = now + left;
    }
    return one;
}

core::snapshot_entry there(const std::string& id, std::optional<core::wall_time> expires = std::nullopt) {
    return {"belay-" + id, now, id + " machine boot 42", expires};
}

} // namespace

TEST_CASE("what can be undone is what was kept, is not taken back and has not expired") {
    const std::string id = "20260501t120000z-000";
    auto open = kept_until(id + "5", day);
    open.how = ending::interrupted;
    auto superseded = kept_until(id + "4", day);
    superseded.superseded_by = id + "7";
    auto no_snapshot = entry(id + "6", outcome::committed);
    std::vector entries{kept_until(id + "1", day),
                        kept_until(id + "2", day * 0),
                        kept_until(id + "3", -day),
                        superseded,
                        open,
                        no_snapshot,
                        entry(id + "8", outcome::rolled_back)};
    int asked = 0;
    const auto nobody = [&](const auto& which) {
        ++asked;
        CHECK(which == std::vector<incus::instance_name>{{"default", "web1"}});
        return cli::snapshot_lists{};
    };
    cli::mark_undoable(entries, now, nobody);
    CHECK(asked == 1);
    std::string undoable;
    for (const auto& one : entries) {
        undoable += one.undoable ? 'u' : '-';
    }
    CHECK(undoable == "uu-----");
    CHECK(entries[0].undo_until == now + day);
    CHECK_FALSE(entries[1].undo_until);
    const auto json_of_first = json::parse(cli::as_json(entries[0]));
    CHECK(json_of_first["undoable"] == true);
    CHECK(json_of_first["undo_until"] == "2026-05-02T12:00:00.000Z");
    CHECK(json::parse(cli::as_json(entries[2]))["undoable"] == false);
    CHECK(json::parse(cli::as_json(entries[1]))["undo_until"].is_null());

    std::vector old{kept_until(id + "3", -day)};
    cli::mark_undoable(old, now, nobody);
    CHECK(asked == 1); // there is nothing to ask
}

TEST_CASE("the daemon has the last word about what can be undone, each instance for itself") {
    const std::string id = "20260501t120000z-000";
    std::vector entries{kept_until(id + "1", day), kept_until(id + "2", day), kept_until(id + "3", day),
                        kept_until(id + "4", day, "web2")};
    cli::mark_undoable(entries, now, [&](const std::vector<incus::instance_name>& which) {
        REQUIRE(which.size() == 2);
        auto foreign = there(id + "3");
        foreign.lock = id + "9 machine boot 42";
        cli::snapshot_lists all;
        all.emplace_back(std::vector{there(id + "1", now + 2 * day), foreign});
        all.emplace_back(core::failure(core::reason::no_daemon, "away"));
        return all;
    });
    CHECK(entries[0].undoable);
    CHECK(entries[0].undo_until == now + 2 * day);
    CHECK_FALSE(entries[1].undoable);
    CHECK_FALSE(entries[1].undo_until);
    CHECK_FALSE(entries[2].undoable);
    CHECK(entries[3].undoable);
    CHECK(entries[3].undo_until == now + day);
}

TEST_CASE("what is asked about the newest is not asked again, and of the others nothing is missing") {
    using names = std::vector<incus::instance_name>;
    using rounds = std::vector<names>;
    const incus::instance_name web1{"default", "web1"};
    const incus::instance_name web2{"default", "web2"};
    const incus::instance_name web3{"default", "web3"};
    rounds asked;
    bool answers = true;
    cli::early_question question([&](const names& which) {
        asked.push_back(which);
        cli::snapshot_lists all;
        for (const auto& one : which) {
            all.emplace_back(std::vector{there(one.name)});
        }
        return answers ? all : cli::snapshot_lists{};
    });
    const auto found = [&](const names& which) {
        std::string text;
        for (const auto& one : question.answers(which)) {
            text += one ? one->front().lock.substr(0, 4) + " " : "- ";
        }
        return text;
    };
    const std::vector newest{kept_until("1", day, "web3"), kept_until("2", day, "web2"), kept_until("3", -day, "web1")};
    SECTION("all were") {
        question.begin(newest, now);
        CHECK(found({web2, web3}) == "web2 web3 ");
        CHECK(asked == rounds{names{web2, web3}});
    }
    SECTION("one was not, and one is not wanted any more") {
        question.begin(newest, now);
        CHECK(found({web1, web3}) == "web1 web3 ");
        CHECK(asked == rounds{names{web2, web3}, names{web1}});
    }
    SECTION("none was") {
        question.begin({}, now);
        CHECK(asked.empty());
        CHECK(found({web1}) == "web1 ");
    }
    SECTION("nobody answers") {
        answers = false;
        question.begin(newest, now);
        CHECK(found({web1, web3}) == "- - ");
    }
}
