// SPDX-License-Identifier: Apache-2.0
#include "journal/upgrade_log.hpp"

#include "support.hpp"

#include <random>

using namespace belay;
using namespace belay::testing;

namespace {

/// Output in which every position is recognisable, in lines of 8 bytes.
std::string output_of(std::size_t size) {
    std::string bytes;
    for (std::size_t i = 0; bytes.size() < size; ++i) {
        auto number = std::to_string(i % 10'000'000);
        bytes += std::string(7 - number.size(), '0') + number + "\n";
    }
    bytes.resize(size);
    return bytes;
}

struct sample {
    temporary_directory directory;
    fs::path file = directory.path() / "upgrade.log";
    weak_disk disk;

    /// Writes the output in pieces and returns what the finished file holds.
    std::string kept(const std::string& output, std::uint64_t limit, std::size_t piece) {
        fs::remove(file);
        journal::upgrade_log log(file, limit, disk);
        for (std::size_t at = 0; at < output.size(); at += piece) {
            REQUIRE(log.write(std::string_view(output).substr(at, piece)));
        }
        REQUIRE(log.finish());
        CHECK(journal::log_files(file) == std::vector{file});
        return content(file);
    }
};

/// What a log of this limit keeps, said in another way than the log does it.
std::string expected_of(const std::string& output, std::size_t limit) {
    if (limit == 0 || output.size() <= limit) {
        return output;
    }
    const auto head = output.substr(0, limit - limit / 2);
    return head + (head.ends_with('\n') ? "" : "\n") + "[belay: " + std::to_string(output.size() - limit) +
           " bytes left out]\n" + output.substr(output.size() - limit / 2);
}

} // namespace

TEST_CASE("a log keeps everything up to its limit, beyond it both ends", "[journal]") {
    sample s;
    for (const std::size_t limit : {1, 2, 3, 7, 64, 1000, 1001}) {
        for (const std::size_t more : {0, 1, 2, 9, 100, 200'000}) {
            for (const std::size_t piece : {1, 3, 64, 100'000}) {
                const auto output = output_of(limit + more);
                if (output.size() / piece <= 2'000) {
                    INFO("limit " << limit << ", " << more << " more, in pieces of " << piece);
                    CHECK(s.kept(output, limit, piece) == expected_of(output, limit));
                }
            }
        }
        const auto shorter = output_of(limit - 1);
        CHECK(s.kept(shorter, limit, 5) == shorter);
    }
}

TEST_CASE("a log of many pieces keeps the right end", "[journal]") {
    sample s;
    constexpr std::size_t limit = 4 << 20;
    std::mt19937 random(3);
    for (const std::size_t size : {limit - 1, limit, limit + 1, limit + (1 << 18), 3 * limit + 12'345}) {
        const auto output = output_of(size);
        CHECK(s.kept(output, limit, 1 + random() % 300'000) == expected_of(output, limit));
    }
}

TEST_CASE("a log without limit keeps everything", "[journal]") {
    sample s;
    const auto output = output_of(1'000'000);
    CHECK(s.kept(output, 0, 4096) == output);
}

TEST_CASE("any bytes are kept as they are", "[journal]") {
    sample s;
    const std::string raw("\0\xFF\x1b[31m\r\n\xC3", 9);
    CHECK(s.kept(raw, 100, 2) == raw);
}

TEST_CASE("a silent command has an empty log, one that never ran has none", "[journal]") {
    sample s;
    {
        journal::upgrade_log log(s.file, 100, s.disk);
        REQUIRE(log.write(""));
    }
    CHECK_FALSE(fs::exists(s.file));
    CHECK(s.kept("", 100, 1).empty());
    CHECK(fs::exists(s.file));
}

TEST_CASE("no more than the limit and a quarter of it is on disk while the output comes", "[journal]") {
    sample s;
    constexpr std::uint64_t limit = 8 << 20;
    journal::upgrade_log log(s.file, limit, s.disk);
    const auto piece = output_of(100'000);
    for (int i = 0; i < 500; ++i) {
        REQUIRE(log.write(piece));
        std::uint64_t used = 0;
        for (const auto& file : journal::log_files(s.file)) {
            used += fs::file_size(file);
        }
        REQUIRE(used <= limit + limit / 4);
    }
}

TEST_CASE("what a crash leaves is the output, in order, in files that say what they are", "[journal]") {
    sample s;
    const auto output = output_of(500'000);
    {
        journal::upgrade_log log(s.file, 400'000, s.disk);
        for (std::size_t at = 0; at < output.size(); at += 999) {
            REQUIRE(log.write(std::string_view(output).substr(at, 999)));
            REQUIRE(
                content(journal::log_files(s.file).back()).ends_with(output[std::min(at + 998, output.size() - 1)]));
        }
    } // no finish()
    const auto files = journal::log_files(s.file);
    REQUIRE(files.size() > 2);
    CHECK(content(files[0]) == output.substr(0, 200'000));
    for (std::size_t i = 1; i < files.size(); ++i) {
        const auto name = files[i].filename().string();
        REQUIRE(name.starts_with("upgrade.log.tail-"));
        const auto begin = std::stoull(name.substr(name.rfind('-') + 1));
        const auto bytes = content(files[i]);
        CHECK(bytes == output.substr(begin, bytes.size()));
    }
    CHECK(content(files.back()).ends_with(output.substr(output.size() - 1000)));
}

TEST_CASE("a log that cannot be written says so each time, with the first error", "[journal]") {
    sample s;
    journal::upgrade_log log(s.file, 1000, s.disk);
    s.disk.room = 10;
    const auto first = log.write(output_of(100));
    REQUIRE_FALSE(first);
    CHECK(first.error().code == core::reason::io_error);
    CHECK(first.error().cause == "No space left on device");
    s.disk.room = 10'000;
    const auto second = log.write("x");
    REQUIRE_FALSE(second);
    CHECK(second.error() == first.error());
    const auto last = log.finish();
    REQUIRE_FALSE(last);
    CHECK(last.error() == first.error());
    CHECK(content(s.file) == output_of(10));
}

TEST_CASE("a disk that gets full while the end is put in its place loses nothing", "[journal]") {
    sample s;
    const auto output = output_of(2000);
    journal::upgrade_log log(s.file, 1000, s.disk);
    REQUIRE(log.write(output));
    s.disk.room = 100;
    CHECK_FALSE(log.finish());
    const auto files = journal::log_files(s.file);
    REQUIRE(files.size() == 2);
    CHECK(content(files.back()).ends_with(output.substr(1500)));
}
