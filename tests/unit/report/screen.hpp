// SPDX-License-Identifier: Apache-2.0
// A small model of a terminal: knows what the live view uses and throws on anything else. Wraps at the last column, as
// terminals do, and scrolls without end.
#pragma once
#include "report/width.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace belay::test {

class screen {
public:
    explicit screen(std::size_t columns) : columns_(columns), rows_(1) {}

    void write(std::string_view bytes) {
        while (!bytes.empty()) {
            if (bytes.front() == '\x1b') {
                sequence(bytes);
            } else {
                character(bytes);
            }
        }
    }

    /// Every row that was ever written, without blanks at the ends.
    std::string text() const {
        std::string all;
        for (const auto& row : rows_) {
            std::string line;
            for (const auto& cell : row) {
                line += cell;
            }
            line.erase(line.find_last_not_of(' ') + 1);
            all += line + "\n";
        }
        return all;
    }

    std::string row(std::size_t index) const {
        std::string line;
        for (const auto& cell : rows_.at(index)) {
            line += cell;
        }
        return line;
    }

    std::size_t height() const { return rows_.size(); }

    std::size_t column() const { return column_; }

    /// How often a line went over the right edge.
    int wraps() const { return wraps_; }

private:
    void sequence(std::string_view& bytes) {
        const auto end = bytes.find_first_of("mAKJhl", 1);
        if (bytes.substr(0, 2) != "\x1b[" || end == std::string_view::npos) {
            throw std::runtime_error("a control sequence that no view should use");
        }
        const auto number = bytes.substr(2, end - 2);
        if (bytes[end] == 'A') {
            row_ -= std::min(row_, static_cast<std::size_t>(std::stoul(std::string(number))));
        } else if (bytes[end] == 'K') {
            cut_row();
        } else if (bytes[end] == 'J') {
            cut_row();
            rows_.resize(row_ + 1);
        }
        bytes.remove_prefix(end + 1);
    }

    void character(std::string_view& bytes) {
        const auto first = static_cast<unsigned char>(bytes.front());
        const std::size_t length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
        const std::string one(bytes.substr(0, length));
        bytes.remove_prefix(length);
        if (one == "\r") {
            column_ = 0;
        } else if (one == "\n") {
            column_ = 0; // the line discipline makes CR LF of it
            next_row();
        } else if (first < 0x20 || first == 0x7f) {
            throw std::runtime_error("a control character");
        } else {
            put(one);
        }
    }

    void put(const std::string& one) {
        const auto width = report::display_width(one);
        if (column_ + width > columns_) {
            ++wraps_;
            column_ = 0;
            next_row();
        }
        auto& row = rows_[row_];
        row.resize(std::max(row.size(), column_ + width), " ");
        if (width == 0) {
            row[column_ == 0 ? 0 : column_ - 1] += one;
            return;
        }
        row[column_] = one;
        for (std::size_t i = 1; i < width; ++i) {
            row[column_ + i].clear();
        }
        column_ += width;
    }

    void cut_row() { rows_[row_].resize(std::min(rows_[row_].size(), column_)); }

    void next_row() {
        ++row_;
        if (row_ == rows_.size()) {
            rows_.emplace_back();
        }
    }

    std::size_t columns_;
    std::vector<std::vector<std::string>> rows_;
    std::size_t row_{0};
    std::size_t column_{0};
    int wraps_{0};
};

} // namespace belay::test
