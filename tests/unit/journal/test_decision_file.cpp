// SPDX-License-Identifier: Apache-2.0
// What many may ask for and one gets: the file `decision` of a transaction.
#include "journal/decision_file.hpp"

#include "support.hpp"

#include <sys/wait.h>

#include <latch>
#include <set>
#include <thread>

using namespace belay;
using namespace belay::testing;
using core::decision;
using core::reason;
using core::verdict;

namespace {

const decision keep{verdict::commit, {}};
const decision undo{verdict::undo, {reason::no_confirm, "undone by `belay rollback`"}};

struct sample {
    temporary_directory directory;
    weak_disk disk;
    fs::path file = directory.path() / "decision";
    journal::decision_file decisions{file, disk};

    /// The decision that holds, if any.
    std::optional<decision> held() {
        const auto known = decisions.read();
        REQUIRE(known);
        return *known;
    }

    /// The names of what there is.
    std::set<std::string> names() const {
        std::set<std::string> all;
        for (const auto& entry : fs::directory_iterator(directory.path())) {
            all.insert(entry.path().filename());
        }
        return all;
    }
};

/// A decision that tells who made it.
decision of(int who) {
    return {who % 2 == 0 ? verdict::commit : verdict::undo, {reason::no_confirm, "by " + std::to_string(who)}};
}

} // namespace

TEST_CASE("nothing is decided before somebody decides", "[journal]") {
    sample s;
    CHECK_FALSE(s.held());
    CHECK(s.names().empty());
}

TEST_CASE("a decision holds for everyone, and the later ones learn of it", "[journal]") {
    sample s;
    REQUIRE(s.decisions.publish(undo) == undo);
    CHECK(s.disk.datasyncs == 1); // before it was published
    journal::decision_file other(s.file);
    CHECK(*other.read() == undo);
    CHECK(other.publish(keep) == undo);
    CHECK(s.decisions.publish(keep) == undo);
    CHECK(s.names() == std::set<std::string>{"decision"}); // no draft is left
    CHECK((fs::status(s.file).permissions() & fs::perms::all) == (fs::perms::owner_read | fs::perms::owner_write));
}

TEST_CASE("of eight threads that decide at once one wins, and all get its answer", "[journal]") {
    for (int round = 0; round < 20; ++round) {
        sample s;
        std::latch ready(8);
        std::vector<std::optional<decision>> answers(8);
        {
            std::vector<std::jthread> threads;
            for (int who = 0; who < 8; ++who) {
                threads.emplace_back([&, who] {
                    journal::decision_file decisions(s.file);
                    ready.arrive_and_wait();
                    if (const auto holds = decisions.publish(of(who))) {
                        answers[static_cast<std::size_t>(who)] = *holds;
                    }
                });
            }
        }
        const auto holds = s.held();
        REQUIRE(holds);
        for (const auto& answer : answers) {
            REQUIRE(answer == holds);
        }
        REQUIRE(s.names() == std::set<std::string>{"decision"});
    }
}

TEST_CASE("of eight processes that decide at once one wins, and all get its answer", "[journal]") {
    sample s;
    int go[2];
    REQUIRE(::pipe(go) == 0);
    std::vector<pid_t> children;
    for (int who = 0; who < 8; ++who) {
        const pid_t child = ::fork();
        if (child == 0) {
            ::close(go[1]);
            char byte{};
            (void)!::read(go[0], &byte, 1);
            const auto holds = s.decisions.publish(of(who));
            ::_exit(holds ? 100 + std::stoi(holds->why.message.substr(3)) : 1);
        }
        children.push_back(child);
    }
    ::close(go[0]);
    ::close(go[1]);
    std::set<int> answers;
    for (const auto child : children) {
        int status = -1;
        REQUIRE(::waitpid(child, &status, 0) == child);
        answers.insert(WEXITSTATUS(status));
    }
    const auto holds = s.held();
    REQUIRE(holds);
    CHECK(answers == std::set<int>{100 + std::stoi(holds->why.message.substr(3))});
    CHECK(s.names() == std::set<std::string>{"decision"});
}

TEST_CASE("a decision that did not get to the disk is an error, and nobody sees it", "[journal]") {
    struct failing {
        std::size_t room;
        bool syncs;
        bool links;
        std::string cause;
    };

    for (const auto& [room, syncs, links, cause] :
         {failing{0, true, true, "No space left on device"}, failing{10, true, true, "No space left on device"},
          failing{10'000, false, true, "Input/output error"}, failing{10'000, true, false, "Input/output error"}}) {
        sample s;
        s.disk.room = room;
        s.disk.syncs = syncs;
        s.disk.links = links;
        const auto failed = s.decisions.publish(keep);
        REQUIRE_FALSE(failed);
        CHECK(failed.error().code == reason::io_error);
        CHECK(failed.error().cause == cause);
        CHECK(failed.error().message.find(s.file.string()) != std::string::npos);
        CHECK(s.names().empty());
        CHECK_FALSE(s.held());
        s.disk.room = 10'000;
        s.disk.syncs = s.disk.links = true;
        CHECK(s.decisions.publish(undo) == undo); // it can be decided again
    }
}

TEST_CASE("a decision that holds is not lost to a failure of a later one", "[journal]") {
    sample s;
    REQUIRE(s.decisions.publish(undo));
    s.disk.room = 0;
    CHECK_FALSE(s.decisions.publish(keep));
    CHECK(s.held() == undo);
    CHECK(s.names() == std::set<std::string>{"decision"});
}

TEST_CASE("drafts that dead processes left do not stand in the way and are never read", "[journal]") {
    sample s;
    for (int number = 0; number < 1'000; ++number) {
        write_file(s.file.string() + "." + std::to_string(::getpid()) + "." + std::to_string(number),
                   R"({"verdict":"commit"})");
    }
    CHECK_FALSE(s.held());
    CHECK(s.decisions.publish(undo) == undo);
    CHECK(s.decisions.publish(keep) == undo);
}

TEST_CASE("a decision that cannot be read is an error, and is not decided anew", "[journal]") {
    sample s;
    for (const auto* bytes : {"", "garbage\n", "{\"verdict\":\"perhaps\"}\n", "{\"verdict\":"}) {
        INFO(bytes);
        write_file(s.file, bytes);
        for (const auto& read : {s.decisions.read().error(), s.decisions.publish(keep).error()}) {
            CHECK(read.code == reason::io_error);
            CHECK(read.message == "the decision in " + s.file.string() + " cannot be read");
        }
        CHECK(content(s.file) == bytes);
        CHECK(s.names() == std::set<std::string>{"decision"});
    }
    fs::remove(s.file);
    fs::create_directory(s.file);
    CHECK_FALSE(s.decisions.read());
}

TEST_CASE("a transaction whose directory is gone cannot be decided about", "[journal]") {
    sample s;
    journal::decision_file lost(s.directory.path() / "nowhere" / "decision");
    const auto failed = lost.publish(keep);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == reason::io_error);
    CHECK_FALSE(*lost.read());
}
