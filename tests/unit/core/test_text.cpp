// SPDX-License-Identifier: Apache-2.0
#include "core/durations.hpp"
#include "core/names.hpp"
#include "core/text.hpp"
#include "core/verdicts.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <random>

using namespace belay::core;
using namespace std::chrono_literals;
using namespace std::string_literals;

TEST_CASE("durations are read as people write them") {
    CHECK(parse_duration("90s") == 90s);
    CHECK(parse_duration("15m") == 15min);
    CHECK(parse_duration("2h") == 2h);
    CHECK(parse_duration("7d") == 168h);
    CHECK(parse_duration("1.5s") == 1500ms);
    CHECK(parse_duration("250ms") == 250ms);
    CHECK(parse_duration("0") == 0ms);
    CHECK(parse_duration("0s") == 0ms);
}

TEST_CASE("what is no duration is an error that names it") {
    const auto* text =
        GENERATE("", "s", "10", "-5s", "5 s", "5x", "1e3s", "nan", "infs", "5s5", "99999d", "0.0001ms", "+5s", ".");
    const auto parsed = parse_duration(text);
    INFO(text);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == reason::usage);
    CHECK(parsed.error().message.find("'"s + text + "'") != std::string::npos);
}

TEST_CASE("a duration that was written is read back") {
    for (const auto ms : {0ms, 1ms, 999ms, 1000ms, 1500ms, 61'000ms, 3'600'000ms, 86'400'000ms, 90'061'001ms}) {
        CHECK(parse_duration(format_duration(ms)) == ms);
    }
    CHECK(format_duration(90s) == "90s");
    CHECK(format_duration(15min) == "15m");
    CHECK(format_duration(1500ms) == "1.5s");
}

TEST_CASE("names of instances") {
    CHECK(check_instance_name("web1"));
    CHECK(check_instance_name("A-b-9"));
    CHECK(check_instance_name("1abc"));
    for (const auto& bad :
         {""s, "a/b"s, ".."s, "a\nb"s, "a b"s, "-a"s, "a-"s, "1"s, std::string(64, 'a'), "a\0b"s, "ä"s, "../x"s}) {
        const auto checked = check_instance_name(bad);
        REQUIRE_FALSE(checked);
        CHECK(checked.error().code == reason::usage);
        CHECK(checked.error().message.find('\n') == std::string::npos);
    }
    CHECK(check_instance_name("prod:web1").error().message.find("remote") != std::string::npos);
}

TEST_CASE("transaction identifiers sort by time and are recognised") {
    using namespace std::chrono;
    const sys_seconds moment = sys_days{2026y / 11 / 23} + 22h + 4min + 5s;
    const auto id = make_transaction_id(moment, 0x00ab);
    CHECK(id == "20261123t220405z-00ab");
    CHECK(is_transaction_id(id));
    CHECK(make_transaction_id(moment + 1s, 0) > id);
    CHECK_FALSE(is_transaction_id("20261123t220405z-00aB"));
    CHECK_FALSE(is_transaction_id("20261123t220405z-00a"));
    CHECK_FALSE(is_transaction_id("web1"));
}

TEST_CASE("invalid UTF-8 is replaced, valid text stays") {
    CHECK(valid_utf8("grün € 🧗\0!"s) == "grün € 🧗\0!"s);
    CHECK(valid_utf8("a\xff"
                     "b") == "a\xEF\xBF\xBD"
                             "b");
    CHECK(valid_utf8("\xC0\xAF") == "\xEF\xBF\xBD\xEF\xBF\xBD");             // overlong
    CHECK(valid_utf8("\xED\xA0\x80").find("\xED") == std::string::npos);     // surrogate
    CHECK(valid_utf8("\xF5\x80\x80\x80").find("\xF5") == std::string::npos); // beyond U+10FFFF
    CHECK(valid_utf8("\xE2\x82") == "\xEF\xBF\xBD\xEF\xBF\xBD");             // cut short
}

TEST_CASE("printable text is one harmless line") {
    CHECK(printable("a\nb\tc\x1b[31m\x7f") == "a b c [31m ");
    CHECK(printable("\xC2\x9b"
                    "31m") == " 31m"); // C1 CSI
    CHECK(printable("grün") == "grün");
}

TEST_CASE("terminal control is stripped from a stream, wherever it is cut") {
    const auto text = "a\x1b[1;31mred\x1b[0m\x1b]0;title\x07"
                      "b\x1bP1;2qdata\x1b\\c\x1b(Bd\x1b=e\xC2\x9b"
                      "f\x08g\r\n€\xff!\0h"s;
    const auto safe = "aredbcdefg\r\n€\xEF\xBF\xBD!h"s;
    terminal_filter whole;
    auto at_once = whole.feed(text);
    at_once += whole.finish();
    CHECK(at_once == safe);
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        terminal_filter filter;
        auto pieces = filter.feed(std::string_view(text).substr(0, cut));
        pieces += filter.feed(std::string_view(text).substr(cut));
        pieces += filter.finish();
        CHECK(pieces == safe);
    }
}

TEST_CASE("what a terminal gets does not depend on the pieces in which the output comes") {
    const std::vector<std::string_view> parts{
        "text", "\n",       "\r",       "\t",           "\x1b",     "[31m",     "]",        "\a",
        "\\",   "\xC2\x9B", "\xC3\xA4", "\xE2\x82\xAC", "\xE2\x82", "\xED\xA0", "\xF0\x9F", "\xA7\x97",
        "\xFF", "\x7F",     "P",        "\xC0\xAF",     "m",        "\x01",     "("};
    std::mt19937 random(11);
    for (int round = 0; round < 3000; ++round) {
        std::string text;
        for (int i = 0; i < 12; ++i) {
            text += parts[random() % parts.size()];
        }
        terminal_filter whole;
        auto at_once = whole.feed(text);
        at_once += whole.finish();
        terminal_filter filter;
        std::string one_by_one;
        for (const char& c : text) {
            one_by_one += filter.feed({&c, 1});
        }
        one_by_one += filter.finish();
        REQUIRE(at_once == one_by_one);
        REQUIRE(valid_utf8(at_once) == at_once);
    }
}

TEST_CASE("an escape sequence that is never closed does not swallow the lines after it") {
    terminal_filter filter;
    CHECK(filter.feed("\x1b]0;never closed\nnext line\n") == "next line\n");
}

TEST_CASE("words are quoted so that a shell reads them back") {
    CHECK(shell_quote("apt-get") == "apt-get");
    CHECK(shell_quote("") == "''");
    CHECK(shell_quote("it's") == "'it'\\''s'");
    CHECK(shell_line({"sh", "-c", "echo $HOME; false"}) == "sh -c 'echo $HOME; false'");
}

TEST_CASE("globs match as in a shell") {
    CHECK(glob_match("unit cron.*", "unit cron.service"));
    CHECK(glob_match("*", ""));
    CHECK(glob_match("tcp/[0-9]? any", "tcp/53 any"));
    CHECK(glob_match("[!a]b", "cb"));
    CHECK_FALSE(glob_match("[!a]b", "ab"));
    CHECK(glob_match("a\\*b", "a*b"));
    CHECK_FALSE(glob_match("a\\*b", "axb"));
    CHECK(glob_match("[", "["));
    CHECK(glob_match("[]a]", "]"));
    CHECK_FALSE(glob_match("unit cron", "unit cron.service"));
    CHECK(glob_match("*a*b*c", "xxaxxbxxc"));
    CHECK_FALSE(glob_match("*a*b*c", "xxaxxbxx"));
    CHECK_FALSE(glob_match(std::string(40, '*') + "b", std::string(5000, 'a')));
    for (const auto& text : {"tcp/53 [::1]", "a*b?c\\d", "plain"}) {
        CHECK(glob_match(glob_escape(text), text));
    }
}

TEST_CASE("the commands that a sentence quotes are found") {
    CHECK(commands_in("is not executable: `chmod +x a`") == std::vector<std::string>{"chmod +x a"});
    CHECK(commands_in("`a`, then `b c`.") == std::vector<std::string>{"a", "b c"});
    CHECK(commands_in("no command, and one ` that is not closed").empty());
}
