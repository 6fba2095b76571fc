// SPDX-License-Identifier: Apache-2.0
// What `belay doctor` has to say about one thing of this host.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace belay::core {

/// How much a person should mind. Only a fault makes the host one that is not able to run belay, or has something left
/// over; a note is worth knowing.
enum class weight { fine, note, fault };

/// Its word in JSON.
constexpr std::string_view word_of(weight how) {
    switch (how) {
    case weight::fine:
        return "ok";
    case weight::note:
        return "note";
    case weight::fault:
        return "finding";
    }
    return {};
}

struct finding {
    weight how{weight::fault};
    std::string word;                ///< what it is about, for programs: "socket", "lock", "snapshot", …
    std::string what;                ///< one or two sentences for a person
    std::vector<std::string> mend{}; ///< commands ready to paste, in their order; none where no command mends it

    bool operator==(const finding&) const = default;
};

inline finding fine(std::string word, std::string what) {
    return {weight::fine, std::move(word), std::move(what), {}};
}

inline finding note(std::string word, std::string what, std::vector<std::string> mend = {}) {
    return {weight::note, std::move(word), std::move(what), std::move(mend)};
}

inline finding fault(std::string word, std::string what, std::vector<std::string> mend = {}) {
    return {weight::fault, std::move(word), std::move(what), std::move(mend)};
}

} // namespace belay::core
