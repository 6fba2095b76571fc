// SPDX-License-Identifier: Apache-2.0
// How a text may look: colours, marks, width. Decides from what it is told of the surroundings; only surroundings_of
// looks.
#pragma once
#include "core/words.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace belay::report {

/// What a file descriptor and the environment say.
struct surroundings {
    bool terminal{false};
    std::string term;     ///< TERM
    std::string no_color; ///< NO_COLOR
    std::string locale;   ///< the first of LC_ALL, LC_CTYPE and LANG that is not empty
    bool keyboard{false}; ///< standard input is a terminal
};

/// Reads them for a file descriptor that will be written to.
surroundings surroundings_of(int fd);

/// The columns of the terminal behind the descriptor; nothing when there is none or it does not say.
std::optional<std::size_t> columns_of(int fd);

/// What a view may use.
struct style {
    bool live{false}; ///< lines can be redrawn in place
    bool color{false};
    bool utf8{true};
    std::optional<std::size_t> width{}; ///< lines of a table are cut to it
    bool keys{false};                   ///< live, and a person may answer by keys
};

/// No terminal, or TERM=dumb: nothing moves, no colour. NO_COLOR (when not empty, see no-color.org): no colour. A
/// locale that does not name UTF-8: ASCII marks, on a terminal; a file or pipe gets UTF-8 always.
style style_for(const surroundings& around);

/// The same, with the width of the terminal behind the descriptor.
style style_of(int fd);

enum class tone { plain, good, bad, warn, quiet };

/// The text in the colour of the tone, if colours are allowed.
std::string paint(std::string_view text, tone how, const style& look);

/// One column: ✓ ✗ ! - with UTF-8, + x ! - without, in its colour.
std::string mark(tone how, const style& look);

/// Text of unknown origin as one line that is safe in this style.
std::string safe(std::string_view text, const style& look);

/// The tone of a check's result.
tone tone_of(core::health how);

} // namespace belay::report
