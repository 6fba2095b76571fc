// SPDX-License-Identifier: Apache-2.0
// The journal's format and every kind of damage to it.
#include "journal/reader.hpp"

#include "codec/record_json.hpp"
#include "core/names.hpp"
#include "journal/line.hpp"
#include "support.hpp"

#include <random>

using namespace belay;
using namespace belay::testing;

namespace {

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = text.find('\n', at);
        lines.push_back(text.substr(at, end - at));
        at = end == std::string::npos ? text.size() : end + 1;
    }
    return lines;
}

std::string joined(const std::vector<std::string>& lines) {
    std::string text;
    for (const auto& line : lines) {
        text += line + "\n";
    }
    return text;
}

/// What is read of the last line alone is what the whole reading has for it, or its error.
void check_last(const fs::path& file, const core::expected<journal::journal_contents>& all) {
    for (const auto how : {codec::detail::whole, codec::detail::brief}) {
        const auto last = journal::read_last(file, how);
        REQUIRE(last.has_value() == all.has_value());
        if (!all) {
            CHECK(last.error().message == all.error().message);
            continue;
        }
        REQUIRE(last->has_value() == !all->records.empty());
        if (*last) {
            CHECK(codec::to_json_line(**last) == codec::to_json_line(all->records.back()));
        }
    }
}

/// A journal that can be damaged.
struct sample {
    temporary_directory directory;
    fs::path file;
    std::string whole;
    std::vector<std::string> lines;

    sample() {
        file = write_journal(open_store(directory.path() / "state"), txn, short_history());
        whole = content(file);
        lines = lines_of(whole);
    }

    core::expected<journal::journal_contents> with(std::string_view bytes) const {
        write_file(file, bytes);
        auto read = journal::read_journal(file);
        check_last(file, read);
        return read;
    }

    /// Reads it as damaged and returns the message.
    std::string damage(const std::string& bytes) const {
        const auto read = with(bytes);
        REQUIRE_FALSE(read);
        CHECK(read.error().code == core::reason::io_error);
        CHECK(read.error().message.find(file.string()) != std::string::npos);
        CHECK(read.error().message.find("belay-" + txn) != std::string::npos); // what to look at
        return read.error().message;
    }
};

bool names_line(const std::string& message, int number) {
    return message.find("line " + std::to_string(number) + " ") != std::string::npos;
}

} // namespace

TEST_CASE("what was appended is read back, each line with a checksum as its last key", "[journal]") {
    const sample s;
    const auto read = s.with(s.whole);
    REQUIRE(read);
    CHECK_FALSE(read->torn);
    CHECK(read->good_size == s.whole.size());
    const auto written = short_history();
    REQUIRE(read->records.size() == written.size());
    for (std::size_t i = 0; i < written.size(); ++i) {
        CHECK(codec::to_json_line(read->records[i]) == codec::to_json_line(written[i]));
        CHECK(s.lines[i] == journal::seal(codec::to_json_line(written[i]),
                                          i == 0 ? journal::first_sum : journal::sum_of(s.lines[i - 1])));
    }
    CHECK(read->last_sum == journal::sum_of(s.lines.back()));
}

TEST_CASE("the checksum is the CRC-32 that everyone has", "[journal]") {
    // python3 -c 'import zlib; print("%08x" % zlib.crc32(b"00000000{\"v\":1"))'
    CHECK(journal::seal("{\"v\":1}", journal::first_sum) == "{\"v\":1,\"sum\":\"f1352b6a\"}");
}

TEST_CASE("an empty journal has no records, and neither has one whose file was not made yet", "[journal]") {
    const sample s;
    const auto empty = s.with("");
    REQUIRE(empty);
    CHECK(empty->records.empty());
    CHECK_FALSE(empty->torn);
    CHECK(empty->last_sum == journal::first_sum);
    fs::remove(s.file);
    CHECK(journal::read_journal(s.file)->records.empty());
    CHECK_FALSE(*journal::read_last(s.file, codec::detail::whole));
    CHECK_FALSE(journal::read_journal(s.directory.path() / "nowhere" / "journal.jsonl"));
    fs::create_directory(s.file);
    CHECK_FALSE(journal::read_journal(s.file));
    CHECK_FALSE(journal::read_last(s.file, codec::detail::whole));
}

TEST_CASE("a last record that is torn, at whatever byte, is passed over", "[journal]") {
    const sample s;
    const auto before = s.whole.size() - s.lines.back().size() - 1;
    for (auto size = before + 1; size < s.whole.size(); ++size) {
        const auto read = s.with(s.whole.substr(0, size));
        REQUIRE(read);
        CHECK(read->torn);
        CHECK(read->records.size() == s.lines.size() - 1);
        CHECK(read->good_size == before);
    }
    CHECK_FALSE(s.with(s.whole.substr(0, before))->torn);
}

TEST_CASE("a journal that is torn within its only line has no records", "[journal]") {
    const sample s;
    for (std::size_t size = 1; size <= s.lines[0].size(); ++size) {
        const auto read = s.with(s.whole.substr(0, size));
        REQUIRE(read);
        CHECK(read->torn);
        CHECK(read->records.empty());
    }
}

TEST_CASE("blocks at the end that never got to the disk are a torn last line", "[journal]") {
    const sample s;
    const auto before = s.whole.size() - s.lines.back().size() - 1;
    auto zeros = s.whole.substr(0, before) + std::string(5000, '\0');
    CHECK(s.with(zeros)->records.size() == s.lines.size() - 1);
    zeros = s.whole.substr(0, before) + std::string(s.lines.back().size(), '\0') + "\n";
    CHECK(s.with(zeros)->torn);
    CHECK(s.with(s.whole.substr(0, before) + "what was on the disk before\n")->torn);
}

TEST_CASE("a last line that is whole but altered is damage, not a tear", "[journal]") {
    const sample s;
    auto altered = s.whole;
    altered[altered.rfind("it ended")] = 'I';
    CHECK(names_line(s.damage(altered), static_cast<int>(s.lines.size())));
}

TEST_CASE("any altered byte before the last line is damage", "[journal]") {
    const sample s;
    std::mt19937 random(5);
    const auto before = s.whole.size() - s.lines.back().size() - 1;
    for (std::size_t at = 0; at < before; ++at) {
        auto altered = s.whole;
        altered[at] = static_cast<char>(static_cast<unsigned char>(altered[at]) ^ (1U << (random() % 8)));
        INFO("byte " << at);
        const auto read = s.with(altered);
        REQUIRE_FALSE(read);
        CHECK(read.error().code == core::reason::io_error);
    }
}

TEST_CASE("damage is named by its line", "[journal]") {
    const sample s;
    const auto without = [&](std::size_t i) {
        auto lines = s.lines;
        lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(i));
        return joined(lines);
    };
    const auto with_line = [&](std::size_t i, const std::string& line) {
        auto lines = s.lines;
        lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(i), line);
        return joined(lines);
    };
    const auto swapped = [&](std::size_t i) {
        auto lines = s.lines;
        std::swap(lines[i], lines[i + 1]);
        return joined(lines);
    };
    CHECK(names_line(s.damage(without(0)), 1));
    CHECK(names_line(s.damage(without(3)), 4));
    CHECK(names_line(s.damage(swapped(2)), 3));
    CHECK(names_line(s.damage(with_line(3, s.lines[2])), 4));
    CHECK(names_line(s.damage(with_line(3, "")), 4));
    CHECK(names_line(s.damage(with_line(3, "garbage")), 4));
    CHECK(names_line(s.damage(with_line(3, R"({"v":1,"sum":"00000000"})")), 4));
    const auto nul = s.damage(with_line(0, std::string(100, '\0')));
    CHECK(names_line(nul, 1));
    CHECK(nul.find("NUL") != std::string::npos);
    CHECK(names_line(s.damage(without(s.lines.size() - 2)), static_cast<int>(s.lines.size()) - 1));
    CHECK(s.with(without(s.lines.size() - 1))); // that one cannot be told from one that was never written
}

TEST_CASE("a lost newline before the last line is damage, not a tear", "[journal]") {
    const sample s;
    auto merged = s.whole;
    merged[merged.size() - s.lines.back().size() - 2] = ' ';
    CHECK(names_line(s.damage(merged), static_cast<int>(s.lines.size()) - 1));
}

TEST_CASE("a journal of a newer belay says so, wherever the newer record stands", "[journal]") {
    const sample s;
    const auto newer = journal::seal(R"({"v":2,"type":"levitated"})", journal::sum_of(s.lines.back()));
    for (const auto& bytes :
         {s.whole + newer + "\n", joined({newer, s.lines[1]}), newer + "\n", joined({R"({"v":2})"})}) {
        const auto read = s.with(bytes);
        REQUIRE_FALSE(read);
        CHECK(read.error().message.find("version 2") != std::string::npos);
        CHECK(read.error().message.find("damaged") == std::string::npos);
    }
}

TEST_CASE("a whole record of an unknown type is an error, even as the last one", "[journal]") {
    const sample s;
    auto json = codec::to_json_line(record_of(8, core::decided{}));
    json.replace(json.find("decided"), 7, "mooted!");
    const auto read = s.with(s.whole + journal::seal(json, journal::sum_of(s.lines.back())) + "\n");
    REQUIRE_FALSE(read);
    CHECK(read.error().message.find("'mooted!'") != std::string::npos);
}

TEST_CASE("of a journal that is read for its last line, only that one is understood", "[journal]") {
    const sample s;
    auto json = codec::to_json_line(record_of(2, core::decided{}));
    json.replace(json.find("decided"), 7, "mooted!");
    const auto second = journal::seal(json, journal::sum_of(s.lines[0]));
    const auto third = journal::seal(codec::to_json_line(record_of(3, core::decided{})), journal::sum_of(second));
    write_file(s.file, joined({s.lines[0], second, third}));
    CHECK_FALSE(journal::read_journal(s.file));
    CHECK((*journal::read_last(s.file, codec::detail::brief))->seq == 3);
}

TEST_CASE("lines may be longer than any buffer", "[journal]") {
    const temporary_directory directory;
    const auto store = open_store(directory.path() / "state");
    const auto line_of = [](std::size_t length) {
        return codec::to_json_line(record_of(3, core::warned{std::string(length, 'x')})).size() + journal::seal_size;
    };
    // Around the size of the chunk that is read, so that the end of a line falls on both sides of its edge.
    constexpr std::size_t chunk = 16 * 1024;
    std::vector<std::size_t> lengths{2 * chunk, 1'000'000};
    for (std::size_t size = chunk - 16; size <= chunk + 16; ++size) {
        lengths.push_back(size - line_of(0));
    }
    std::uint16_t number = 0;
    for (const auto length : lengths) {
        const core::warned long_one{std::string(length, 'x')};
        const auto file =
            write_journal(store, core::make_transaction_id({}, ++number),
                          {record_of(1, long_one), record_of(2, core::warned{"short"}), record_of(3, long_one)});
        const auto all = journal::read_journal(file);
        REQUIRE(all);
        REQUIRE(all->records.size() == 3);
        CHECK(std::get<core::warned>(all->records.back().what).message == long_one.message);
        check_last(file, all);
    }
}

TEST_CASE("transactions are listed by time, and nothing else is", "[journal]") {
    const temporary_directory directory;
    const auto state = directory.path() / "state";
    CHECK(journal::list_transactions(state)->empty());
    const auto store = open_store(state);
    for (const auto* id : {"20261123t224001z-0000", "20251123t224000z-ffff", "20261123t224000z-3f9c"}) {
        REQUIRE(store.create_transaction(id));
    }
    fs::create_directory(state / "transactions" / "lost+found");
    CHECK(journal::list_transactions(state) ==
          std::vector<std::string>{"20251123t224000z-ffff", "20261123t224000z-3f9c", "20261123t224001z-0000"});
}

TEST_CASE("a transaction is found by its ID, the beginning of it, or the instance", "[journal]") {
    const temporary_directory directory;
    const auto state = directory.path() / "state";
    const auto store = open_store(state);
    const auto begin = [&](const std::string& id, const std::string& instance, const std::string& project) {
        return write_journal(store, id, {record_of(1, core::opened{plan_of(instance, project)}, instance)});
    };
    begin("20251123t224000z-0001", "web1", "default");
    begin("20251123t224000z-0002", "db1", "default");
    begin("20261123t224000z-0003", "web1", "default");
    begin("20261124t224000z-0004", "web1", "other");
    write_file(begin("20261125t224000z-0005", "web1", "default"), "garbage\nmore\n");
    const auto altered = begin("20261126t224000z-0006", "web8", "default");
    auto text = content(altered);
    for (auto at = text.find("web8"); at != std::string::npos; at = text.find("web8")) {
        text.replace(at, 4, "web9");
    }
    write_file(altered, text);

    CHECK(journal::find_transaction(state, "20251123t224000z-0002") == "20251123t224000z-0002");
    CHECK(journal::find_transaction(state, "20261124") == "20261124t224000z-0004");
    CHECK(journal::find_transaction(state, "web1") == "20261124t224000z-0004");
    CHECK(journal::find_transaction(state, "web1", "default") == "20261123t224000z-0003");
    CHECK(journal::find_transaction(state, "db1") == "20251123t224000z-0002");
    for (const auto* name : {"2025", "2024", "20251123t224000z-0009", "nobody", "web", "web8", "web9", ""}) {
        INFO(name);
        const auto found = journal::find_transaction(state, name);
        REQUIRE_FALSE(found);
        CHECK(found.error().code == core::reason::usage);
    }
    CHECK_FALSE(journal::find_transaction(state, "db1", "other"));
    CHECK_FALSE(journal::find_transaction(directory.path() / "nowhere", "web1"));
}

TEST_CASE("an instance whose name begins with a digit is found by its name", "[journal]") {
    const temporary_directory directory;
    const auto state = directory.path() / "state";
    const auto store = open_store(state);
    const auto begin = [&](const std::string& id, const std::string& instance) {
        write_journal(store, id, {record_of(1, core::opened{plan_of(instance)}, instance)});
    };
    begin("20251123t224000z-0001", "2web");
    begin("20261123t224000z-0002", "2web");
    begin("20261124t224000z-0003", "web1");
    CHECK(journal::find_transaction(state, "2web") == "20261123t224000z-0002");
    CHECK(journal::find_transaction(state, "20251123") == "20251123t224000z-0001");
    SECTION("a beginning of an ID comes before it") {
        begin("20261125t224000z-0004", "20261123t2");
        CHECK(journal::find_transaction(state, "20261123t2") == "20261123t224000z-0002");
    }
    SECTION("and a text with a digit that is neither is called a transaction") {
        CHECK(journal::find_transaction(state, "3web").error().message ==
              "there is no transaction 3web: `belay history` lists them");
        CHECK(journal::find_transaction(state, "web2", "lab").error().message ==
              "there is no transaction of an instance 'web2' in project 'lab': `belay history` lists all of them");
    }
}

TEST_CASE("the transactions of an instance are listed by time, those that say nothing left out", "[journal]") {
    const temporary_directory directory;
    const auto state = directory.path() / "state";
    CHECK(journal::transactions_of(state, "web1", {})->empty()); // there is no state directory
    const auto store = open_store(state);
    const auto begin = [&](const std::string& id, const std::string& instance, const std::string& project) {
        return write_journal(store, id, {record_of(1, core::opened{plan_of(instance, project)}, instance)});
    };
    begin("20261123t224000z-0003", "web1", "default");
    begin("20251123t224000z-0001", "web1", "lab");
    begin("20251123t224000z-0002", "web10", "default");
    write_file(begin("20261125t224000z-0005", "web1", "default"), "garbage\nmore\n");
    write_file(begin("20261126t224000z-0006", "web1", "default"), "");
    fs::remove(begin("20261127t224000z-0007", "web1", "default"));
    using list = std::vector<std::string>;
    CHECK(journal::transactions_of(state, "web1", {}) == list{"20251123t224000z-0001", "20261123t224000z-0003"});
    CHECK(journal::transactions_of(state, "web1", "default") == list{"20261123t224000z-0003"});
    CHECK(journal::transactions_of(state, "web1", "lab") == list{"20251123t224000z-0001"});
    CHECK(journal::transactions_of(state, "web", {})->empty());
    CHECK(journal::transactions_of(state, "", {})->empty());
}

TEST_CASE("what is wrong with a journal is told apart: torn, damaged, empty, newer", "[journal]") {
    const sample s;
    const auto file = s.file.string();
    const auto after = [&](const std::string& what) {
        return " of the journal " + file + " is damaged: " + what +
               ". belay does not act on it: look at the instance and its snapshot belay-" + txn +
               " by hand, or bring the file back from a backup; when all is in order, move the directory " +
               s.file.parent_path().string() + " away";
    };
    auto lines = s.lines;
    lines[2] = "garbage";
    CHECK(s.damage(joined(lines)) == "line 3" + after("it has no checksum at its end"));
    lines[2] = std::string(40, '\0');
    CHECK(s.damage(joined(lines)) == "line 3" + after("it has NUL bytes"));
    lines = s.lines;
    lines.erase(lines.begin() + 2);
    CHECK(s.damage(joined(lines)) ==
          "line 3" + after("its checksum does not match: it was altered, or a line before it is missing"));
    lines = s.lines;
    lines[2] = journal::seal(R"({"v":7,"type":"x"})", journal::sum_of(lines[1]));
    const auto newer = s.with(joined(lines));
    REQUIRE_FALSE(newer);
    CHECK(newer.error().message.starts_with("line 3 of the journal " + file + ": "));
    CHECK(newer.error().message.find("version 7") != std::string::npos);
    // Neither of these is an error, and neither looks like the other.
    const auto torn = s.with(s.whole.substr(0, s.whole.size() - 3));
    const auto empty = s.with("");
    REQUIRE(torn);
    REQUIRE(empty);
    CHECK(torn->torn);
    CHECK_FALSE(torn->records.empty());
    CHECK_FALSE(empty->torn);
    CHECK(empty->records.empty());
}
