// SPDX-License-Identifier: Apache-2.0
// Text that came from somewhere else: made safe for terminals, JSON and shells.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace belay::core {

/// One line that is safe on any terminal: invalid UTF-8 becomes U+FFFD, control characters become a space.
std::string printable(std::string_view text);

/// The last line that is not blank; empty when there is none.
std::string last_line(std::string_view text);

/// Invalid UTF-8 sequences replaced by U+FFFD, everything else as it is (NUL bytes too).
std::string valid_utf8(std::string_view bytes);

/// For a POSIX shell: as it is when harmless, else in single quotes.
std::string shell_quote(std::string_view word);

/// A command line that a person can paste.
std::string shell_line(const std::vector<std::string>& argv);

/// The commands that a sentence quotes in backticks, as the messages of belay do.
std::vector<std::string> commands_in(std::string_view sentence);

/// A glob that matches exactly this text.
std::string glob_escape(std::string_view text);

/// Strips terminal control from a stream that comes in pieces: escape sequences (CSI, OSC, DCS and the short ones, also
/// cut between two pieces) and control characters go, but for newline, tab and, as a newline of its own kind, carriage
/// return. Invalid UTF-8 becomes U+FFFD.
class terminal_filter {
public:
    /// The safe form of the next piece. A multi-byte character that is cut waits for its rest.
    std::string feed(std::string_view bytes);

    /// The end of the stream: what waited, made safe.
    std::string finish();

private:
    enum class mode { text, escape, csi, string, string_escape };

    void take(char c, std::string& safe);
    void take_text(char c, std::string& safe);

    mode mode_{mode::text};
    std::string partial_;
};

} // namespace belay::core
