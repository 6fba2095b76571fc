// SPDX-License-Identifier: Apache-2.0
// Collectors of evidence: within their limit whatever they do, and everything that they have printed by then.
#include "checks/runner.hpp"
#include "fakes/no_threads.hpp"
#include "process/child.hpp"
#include "unit/checks/guests.hpp"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <condition_variable>
#include <future>

using namespace belay;
using namespace std::chrono_literals;

namespace {

/// An instance whose programs run on this machine, by the real means, as children of belay.
class shell_guest : public test::idle_guest {
public:
    std::atomic<int> programs{0};

    core::expected<ports::guest_exit> exec(const ports::guest_command& command, core::milliseconds limit,
                                           const ports::output_sink& sink, std::stop_token stop) override {
        ++programs;
        const auto end =
            process::run({.argv = command.argv, .env = command.env, .input = command.input}, limit, sink, stop, 200ms);
        if (!end) {
            return std::unexpected(end.error());
        }
        return ports::guest_exit{end->how == process::ended::exited ? ports::ended::exited : ports::ended::timed_out,
                                 end->code};
    }
};

/// An instance in which nothing ever ends by itself, nor when its time is up: the client hangs in the kernel. It ends
/// with the test.
class hung_guest : public test::idle_guest {
public:
    core::expected<ports::guest_exit> exec(const ports::guest_command&, core::milliseconds,
                                           const ports::output_sink& sink, std::stop_token) override {
        sink(core::output::stream::out, "so far\n");
        std::unique_lock lock(mutex_);
        ++inside_;
        changed_.notify_all();
        changed_.wait(lock, [&] { return over_; });
        sink(core::output::stream::out, "too late\n");
        return ports::guest_exit{};
    }

    void let_go() {
        const std::scoped_lock lock(mutex_);
        over_ = true;
        changed_.notify_all();
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int inside_{0};
    bool over_{false};
};

/// One whose daemon takes its time to say that a program has ended.
class slow_guest : public shell_guest {
public:
    std::atomic<bool> cut_short{false};
    std::atomic<bool> ended{false};

    core::expected<ports::guest_exit> exec(const ports::guest_command& command, core::milliseconds limit,
                                           const ports::output_sink& sink, std::stop_token stop) override {
        auto end = shell_guest::exec(command, limit, sink, {});
        let_go_.get_future().wait_for(10s);
        cut_short = stop.stop_requested();
        ended = true;
        return end;
    }

    void let_go() { let_go_.set_value(); }

private:
    std::promise<void> let_go_;
};

core::check_spec command(const std::string& name, const std::string& text) {
    core::check_spec spec;
    spec.name = name;
    spec.args = {text};
    return spec;
}

/// One that goes together with others, from its file in this folder.
core::check_spec installed(const test::scratch& dir, const std::string& name, const std::string& text) {
    core::check_spec spec;
    spec.name = name;
    spec.file = dir.put(name, "#!/bin/sh\n# belay: where=guest together=yes summary=x\n" + text).string();
    return spec;
}

struct gathering {
    std::vector<ports::evidence> found;
    core::milliseconds took{};
};

gathering gather(ports::checks& runner, const std::vector<core::check_spec>& collectors, core::milliseconds limit) {
    const auto begin = std::chrono::steady_clock::now();
    ports::hook_context context;
    context.txn = "t";
    context.instance = "web1";
    gathering g{runner.gather(collectors, {}, context, limit, {}).pieces, {}};
    g.took = std::chrono::duration_cast<core::milliseconds>(std::chrono::steady_clock::now() - begin);
    return g;
}

std::string text_of(const gathering& g, const std::string& name) {
    for (const auto& one : g.found) {
        if (one.name == name) {
            return one.text;
        }
    }
    return "(nothing)";
}

} // namespace

TEST_CASE("collectors run side by side; those that say nothing or do not apply are left out") {
    shell_guest guest;
    checks::runner runner(guest);
    const auto g = gather(runner,
                          {command("one", "echo 1"), command("silent", ":"), command("skips", "echo not here; exit 77"),
                           command("fails", "echo 2; echo oh >&2; exit 3")},
                          30s);
    CHECK(g.found.size() == 2);
    CHECK(text_of(g, "one") == "1\n");
    CHECK(text_of(g, "fails") == "2\noh\n");
}

TEST_CASE("what an installed collector says on standard error is not evidence") {
    const test::scratch dir;
    shell_guest guest;
    checks::runner runner(guest);
    core::check_spec spec;
    spec.name = "journal";
    spec.file = dir.put("journal", "echo yes; echo 'Error: Instance is not running' >&2\n").string();
    CHECK(text_of(gather(runner, {spec}, 30s), "journal") == "yes\n");
}

TEST_CASE("installed collectors that say so, and the list of packages, are one program") {
    const test::scratch dir;
    shell_guest guest;
    checks::runner runner(guest);
    std::vector<core::check_spec> all{command("asked-for", "echo 1")};
    const auto install = [&](const std::string& name, const std::string& text) {
        all.push_back(installed(dir, name, text));
    };
    install("fails", "echo 2; echo oh >&2; exit 3");
    install("skips", "echo not here; exit 77");
    install("hangs", "echo begun; sleep 1000");
    install("long", "printf '%3000s\\n' x");
    install("processes", "echo \"1 sh -c trap 'echo belay: end of check'\"; echo 2 init");
    install("long-and-hangs", "echo begun; printf '%3000s\\n' x; sleep 1000");
    int meanwhile = 0;
    const auto found = runner.gather(all, command("list", "echo a package"), {}, 2s, [&] { ++meanwhile; });
    const gathering g{found.pieces, {}};
    CHECK(found.listed == "a package\n");
    CHECK(meanwhile == 1);
    CHECK(g.found.size() == 6);
    CHECK(text_of(g, "processes") == "1 sh -c trap 'echo belay: end of check'\n2 init\n");
    CHECK(text_of(g, "long-and-hangs").size() == 6 + 2001); // as much as came on that way
    CHECK(text_of(g, "asked-for") == "1\n");
    CHECK(text_of(g, "fails") == "2\n");
    CHECK(text_of(g, "hangs") == "begun\n");
    CHECK(text_of(g, "long").size() == 3001);
    CHECK(guest.programs == 3); // with the one whose line was too long for that way, beside the one that hangs
}

TEST_CASE("when collectors have said all, the end of their program is neither waited for nor hastened") {
    const test::scratch dir;
    slow_guest guest;
    checks::runner runner(guest);
    const auto g = gather(runner, {installed(dir, "one", "echo one"), installed(dir, "two", "echo two")}, 30s);
    CHECK(text_of(g, "one") == "one\n");
    CHECK(text_of(g, "two") == "two\n");
    CHECK_FALSE(guest.ended);
    guest.let_go();
    while (!guest.ended) {
        std::this_thread::sleep_for(1ms);
    }
    CHECK_FALSE(guest.cut_short);
}

TEST_CASE("a collector that sleeps for ever costs the limit, and what it printed counts") {
    shell_guest guest;
    checks::runner runner(guest);
    const auto g = gather(runner, {command("sleeps", "echo begun; sleep 1000"), command("quick", "echo done")}, 1s);
    CHECK(g.took >= 900ms);
    CHECK(g.took < 3s);
    CHECK(text_of(g, "sleeps") == "begun\n");
    CHECK(text_of(g, "quick") == "done\n");
}

TEST_CASE("a collector that does not hear SIGTERM costs no more than the limit") {
    shell_guest guest;
    checks::runner runner(guest);
    const auto g = gather(runner, {command("deaf", "trap '' TERM; echo begun; while :; do sleep 1; done")}, 1s);
    CHECK(g.took < 3s);
    CHECK(text_of(g, "deaf") == "begun\n");
}

TEST_CASE("of a collector that prints for ever the end is kept, not all") {
    shell_guest guest;
    checks::runner runner(guest);
    const auto g = gather(runner,
                          {command("flood", "i=0; while :; do i=$((i + 1)); echo line $i "
                                            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done")},
                          2s);
    CHECK(g.took < 4s);
    const auto text = text_of(g, "flood");
    CHECK(text.size() <= (2U << 20U));
    CHECK(text.size() > 10'000);
}

TEST_CASE("without threads there is no evidence, and nothing is waited for") {
    shell_guest guest;
    checks::runner runner(guest);
    const fakes::no_threads none;
    const auto g = gather(runner, {command("one", "echo 1"), command("two", "echo 2")}, 30s);
    CHECK(g.found.empty());
    CHECK(g.took < 10s);
}

TEST_CASE("an instance that hangs is left behind when the limit is over, and changes nothing that was returned") {
    hung_guest guest;
    checks::runner runner(guest);
    const auto g = gather(runner, {command("a", "x"), command("b", "y")}, 300ms);
    CHECK(g.took < 2s);
    CHECK(text_of(g, "a") == "so far\n");
    CHECK(text_of(g, "b") == "so far\n");
    guest.let_go(); // else the runner would wait for its threads
}
