// SPDX-License-Identifier: Apache-2.0
// How many columns a text takes on a terminal. Knows no locale and no terminal; the text is valid UTF-8 without
// control.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace belay::report {

/// Columns of the text: two for East Asian wide characters and emoji, none for combining ones.
std::size_t display_width(std::string_view text);

/// The text if it fits into so many columns; else its beginning and a mark of the cut ("…", or "..." without UTF-8).
std::string fit(std::string_view text, std::size_t columns, bool utf8 = true);

/// The text, filled up with spaces to so many columns.
std::string pad(std::string_view text, std::size_t columns);

/// The same, behind what is in the line already.
void append_padded(std::string& line, std::string_view text, std::size_t columns);

/// Every character beyond ASCII as '?': on a terminal of eight bits the bytes of UTF-8 would be control characters.
std::string to_ascii(std::string_view text);

} // namespace belay::report
