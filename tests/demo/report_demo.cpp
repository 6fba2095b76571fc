// SPDX-License-Identifier: Apache-2.0
// Plays a transaction in real time on the view that fits standard output.
//   report_demo good|apt|flood|silence|command|check|stuck|interactive|gigabyte
#include "fakes/event_stream.hpp"
#include "report/terminal.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>
#include <unistd.h>

using namespace belay;
using core::act;
using std::chrono::milliseconds;

namespace {

class real_clock final : public ports::clock {
public:
    milliseconds monotonic() const override {
        return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now().time_since_epoch());
    }

    core::wall_time wall() const override {
        return std::chrono::time_point_cast<milliseconds>(std::chrono::system_clock::now());
    }

    double boottime() const override { return 0; }
};

void wait(double seconds) {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

/// What apt does with its lines on a terminal and off it.
void print_like_apt(fakes::event_stream& events) {
    for (const auto* line :
         {"Reading package lists...", "Building dependency tree...", "Reading state information..."}) {
        events.print(line);
        wait(0.3);
        events.print(" Done\n");
    }
    for (int percent = 0; percent <= 100; ++percent) {
        events.print("\r\x1b[32mProgress: [" + std::to_string(percent) + "%] " +
                     std::string(static_cast<std::size_t>(percent) / 2, '#'));
        wait(0.03);
    }
    events.print("\nSetting up pdns-server (4.7.3-2) … 完了しました\n");
    for (int i = 0; i < 12; ++i) {
        events.print("Setting up libfoo" + std::to_string(i) + ":amd64 (1.2.3-" + std::to_string(i) + ") ...\n");
        wait(0.1);
    }
}

void print_flood(fakes::event_stream& events) {
    for (int i = 0; i < 100'000; ++i) {
        events.print("line " + std::to_string(i) + " of a command that says much and means little, as commands do\n");
    }
}

void print_gigabyte(fakes::event_stream& events) {
    std::string piece;
    while (piece.size() < 32'000) {
        piece += "Unpacking linux-image-6.1.0-18-amd64 (6.1.76-1) over (6.1.69-1) ... [" +
                 std::to_string(piece.size()) + "]\n";
    }
    const core::record r{1, 0, {}, 0, events.txn, "web1", core::output{core::output::stream::out, piece}};
    for (std::size_t done = 0; done < (1U << 30U); done += piece.size()) {
        events.pass(r);
    }
}

/// An upgrade that this story is about, then the usual end.
void play(fakes::event_stream& events, const std::string& story) {
    events.plan.command.interactive = story == "interactive";
    events.up_to_upgrade();
    events.begin(act::upgrade);
    if (story == "apt") {
        print_like_apt(events);
    } else if (story == "flood") {
        print_flood(events);
    } else if (story == "gigabyte") {
        print_gigabyte(events);
    } else if (story == "silence") {
        events.print("Generating locales (this might take a while)...\n");
        wait(75);
    } else if (story == "interactive") {
        if (std::system("sh -c 'printf \"\\033[7mthe command has the terminal\"; sleep 2'") != 0) {
            return;
        }
    }
    events.end(act::upgrade, 4.2, [](auto& e) { e.command = core::command_end{0, 48}; });
    events.begin(act::verify);
    events.add(core::checked{{act::verify, {}}, 1, events.judgement(false)});
    wait(2);
    events.add(core::checked{{act::verify, {}}, 1, events.judgement(true)});
    for (int left = 5; left > 0; --left) {
        events.add(core::soaking{{act::verify, {}}, static_cast<double>(left)});
        wait(1);
        events.add(core::checked{{act::verify, {}}, 1, events.judgement(true)});
    }
    events.end(act::verify, 7.1, [&](auto& e) { e.judgements = events.judgement(true); });
    events.decide(core::verdict::commit);
    events.phase(act::unlock, 0.01);
    events.close(core::outcome::committed);
}

} // namespace

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGHUP, SIG_IGN);
    const std::string story = argc > 1 ? argv[1] : "apt";
    const real_clock clock;
    const auto view = report::make_view(STDOUT_FILENO, report::style_of(STDOUT_FILENO), clock);
    fakes::event_stream events([&](const auto& r) {
        view->on(r);
        if (std::holds_alternative<core::finished>(r.what) && story != "gigabyte") {
            wait(0.2);
        }
    });
    if (story == "good") {
        events.good();
    } else if (story == "command") {
        events.bad_command();
    } else if (story == "check") {
        events.bad_check();
    } else if (story == "stuck") {
        events.stuck();
    } else {
        play(events, story);
    }
    return 0;
}
