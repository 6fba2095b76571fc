// SPDX-License-Identifier: Apache-2.0
#include "report/lines.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

using namespace belay;

namespace {

/// The lines of a text that comes in pieces of this size.
std::string lines_of(std::string_view text, std::size_t piece, bool ascii = false) {
    report::lane lane("> ", ascii);
    std::string complete;
    for (; !text.empty(); text.remove_prefix(std::min(piece, text.size()))) {
        lane.feed(text.substr(0, piece), complete);
    }
    lane.finish(complete);
    return complete;
}

void check_all_cuts(std::string_view text, std::string_view expected) {
    for (std::size_t piece = 1; piece <= text.size(); ++piece) {
        INFO("pieces of " << piece);
        CHECK(lines_of(text, piece) == expected);
    }
}

} // namespace

TEST_CASE("lines come out as they went in, however they are cut", "[report]") {
    check_all_cuts("one\ntwo\n\nfour without end", "> one\n> two\n> \n> four without end\n");
}

TEST_CASE("of a progress bar the last state stays", "[report]") {
    check_all_cuts("10%\r50%\r100%\ndone\n", "> 100%\n> done\n");
    check_all_cuts("10%\r50%\r100%\r\n", "> 100%\n");
    check_all_cuts("windows\r\nlines\r\n", "> windows\n> lines\n");
    check_all_cuts("\r 1%\r 2%", ">  2%\n");
}

TEST_CASE("control sequences are gone, however they are cut", "[report]") {
    check_all_cuts("\x1b[31mred\x1b[0m \x1b]0;title\x07text\x1b[2J\a\n", "> red text\n");
    check_all_cuts("plain\n\x1b[1;1Hthen\nplain again, with a good many letters\n",
                   "> plain\n> then\n> plain again, with a good many letters\n");
    check_all_cuts("caf\xc3\xa9 \xff \xc2\x9b"
                   "31m\n",
                   "> caf\xc3\xa9 \xEF\xBF\xBD 31m\n");
}

TEST_CASE("every control character is seen at every place of a word of eight", "[report]") {
    for (int control = 0; control < 256; ++control) {
        const char c = static_cast<char>(control);
        const bool kept = (control >= 0x20 && control < 0x7f) || c == '\t';
        if (c == '\n' || c == '\r' || c == '\x1b' || control >= 0x80) {
            continue;
        }
        for (std::size_t at = 0; at < 17; ++at) {
            std::string text(17, 'a');
            text[at] = c;
            INFO("character " << control << " at " << at);
            const auto lines = lines_of(text + "\n", 100);
            CHECK((lines.find(c) != std::string::npos) == (kept));
            CHECK(lines.size() == (kept ? 20U : 19U));
        }
    }
}

TEST_CASE("without UTF-8 no byte beyond ASCII gets through", "[report]") {
    CHECK(lines_of("caf\xc3\xa9 \xe5\xae\x8c\n", 100, true) == "> caf? ?\n");
}

TEST_CASE("a line without end is broken, so that memory stays flat", "[report]") {
    report::lane lane("", false);
    std::string complete;
    std::size_t most = 0;
    for (int i = 0; i < 1'000; ++i) {
        complete.clear();
        lane.feed(std::string(10'000, 'x') + "\xc3\xa9", complete);
        most = std::max({most, complete.size(), lane.partial().size()});
        CHECK(core::valid_utf8(complete) == complete);
    }
    CHECK(most < 100'000);
}

TEST_CASE("the two streams of a command do not mix within a line", "[report]") {
    report::output_lines lines("", false);
    std::string complete;
    using enum core::output::stream;
    lines.feed({out, "half a "}, complete);
    lines.feed({err, "an error\n"}, complete);
    lines.feed({out, "line\n"}, complete);
    CHECK(complete == "an error\nhalf a line\n");
}
