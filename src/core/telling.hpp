// SPDX-License-Identifier: Apache-2.0
// The lines of a log that tell why something failed.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace belay::core {

/// At most `most` lines of a text that speak of trouble, the worst kind first (a crash, a full disk, memory that ran
/// out; then errors; then what merely was refused or not found), those of a kind in the order of the text. Lines that
/// differ only in digits (times, process IDs, addresses) count once. Terminal control is stripped, and a line is cut
/// after 400 bytes.
std::vector<std::string> telling_lines(std::string_view text, std::size_t most);

} // namespace belay::core
