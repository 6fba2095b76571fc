// SPDX-License-Identifier: Apache-2.0
// nlohmann's DOM knows no lines and keeps only the last of two equal keys, hence its events (SAX) from an iterator that
// counts lines.
#include "recipe/json.hpp"

#include "core/durations.hpp"
#include "core/nearest.hpp"
#include "core/sizes.hpp"
#include "core/text.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <variant>

namespace belay::recipe {

namespace {

using nlohmann::ordered_json;

/// How far the lexer has read.
struct progress {
    int line{1};             ///< of the next character
    int line_before_last{1}; ///< without the last character: a number is known to be over only by the one behind it
};

class counting_iterator {
public:
    using iterator_category = std::input_iterator_tag;
    using value_type = char;
    using difference_type = std::ptrdiff_t;
    using pointer = const char*;
    using reference = const char&;

    counting_iterator(const char* at, progress* so_far) : at_(at), so_far_(so_far) {}

    reference operator*() const { return *at_; }

    counting_iterator& operator++() {
        so_far_->line_before_last = so_far_->line;
        so_far_->line += *at_ == '\n' ? 1 : 0;
        ++at_;
        return *this;
    }

    counting_iterator operator++(int) {
        auto before = *this;
        ++*this;
        return before;
    }

    bool operator==(const counting_iterator& other) const { return at_ == other.at_; }

    bool operator!=(const counting_iterator& other) const { return at_ != other.at_; }

private:
    const char* at_;
    progress* so_far_;
};

using texts = std::vector<std::string>;
using pairs = std::vector<std::pair<std::string, std::string>>;

/// What a recipe may hold behind a key.
using value = std::variant<std::string, std::int64_t, bool, texts, pairs>;

// Takes a value into the member of its key; what is wrong with it, or nothing.

using problem = std::string;

problem take(const value& from, std::optional<std::string>& into) {
    const auto* text = std::get_if<std::string>(&from);
    if (text == nullptr) {
        return "wants text";
    }
    into = *text;
    return {};
}

problem take(const value& from, std::vector<std::string>& into) {
    const auto* list = std::get_if<texts>(&from);
    if (list == nullptr) {
        return R"(wants a list of texts, as in ["one", "two"])";
    }
    if (std::ranges::find(*list, "") != list->end()) {
        return "has an empty text in its list";
    }
    into = *list;
    return {};
}

/// The command: a program with its arguments, or a line for the shell.
problem take(const value& from, std::optional<std::vector<std::string>>& into) {
    if (const auto* line = std::get_if<std::string>(&from)) {
        into = texts{"sh", "-c", *line};
        return line->empty() ? "is empty" : "";
    }
    const auto* list = std::get_if<texts>(&from);
    if (list == nullptr) {
        return R"(wants a list of texts, as in ["apt-get", "-y", "upgrade"], or a text for the shell)";
    }
    into = *list;
    return list->empty() || list->front().empty() ? "is empty" : "";
}

problem take(const value& from, pairs& into) {
    const auto* variables = std::get_if<pairs>(&from);
    if (variables == nullptr) {
        return R"(wants an object of texts, as in {"NAME": "value"})";
    }
    for (const auto& [name, text] : *variables) {
        if (name.empty() || name.find('=') != std::string::npos) {
            return "has '" + core::printable(name) + "' where the name of a variable should be";
        }
    }
    into = *variables;
    return {};
}

problem take(const value& from, std::optional<bool>& into) {
    const auto* truth = std::get_if<bool>(&from);
    if (truth == nullptr) {
        return "wants true or false";
    }
    into = *truth;
    return {};
}

problem take_number(const value& from, std::int64_t most, std::int64_t& into) {
    const auto* number = std::get_if<std::int64_t>(&from);
    if (number == nullptr || *number < 0 || *number > most) {
        return fmt::format("wants a whole number from 0 to {}", most);
    }
    into = *number;
    return {};
}

problem take(const value& from, std::optional<unsigned>& into) {
    std::int64_t id{};
    auto wrong = take_number(from, std::numeric_limits<std::uint32_t>::max(), id);
    into = static_cast<unsigned>(id);
    return wrong;
}

problem take(const value& from, std::optional<int>& into) {
    std::int64_t count{};
    auto wrong = take_number(from, most_kept, count);
    into = static_cast<int>(count);
    return wrong;
}

/// A text that one of core's rules reads. `wants` is the complaint about what is no text.
template <class T, class Parse>
problem take_parsed(const value& from, std::optional<T>& into, Parse parse, const char* wants) {
    const auto* text = std::get_if<std::string>(&from);
    if (text == nullptr) {
        return wants;
    }
    const auto parsed = parse(*text);
    if (!parsed) {
        return ": " + parsed.error().message;
    }
    into = *parsed;
    return {};
}

problem take(const value& from, std::optional<milliseconds>& into) {
    if (from == value(std::int64_t{0})) {
        into = milliseconds{0};
        return {};
    }
    return take_parsed(from, into, core::parse_duration, R"(wants a duration, as in "90s" or "15m")");
}

problem take(const value& from, std::optional<std::uint64_t>& into) {
    if (const auto* number = std::get_if<std::int64_t>(&from); number != nullptr && *number >= 0) {
        into = static_cast<std::uint64_t>(*number);
        return {};
    }
    return take_parsed(from, into, core::parse_size, R"(wants a size, as in "500MiB")");
}

template <class Enum>
problem take_word(const value& from, std::optional<Enum>& into, const texts& words) {
    const auto* text = std::get_if<std::string>(&from);
    if (text == nullptr || std::ranges::find(words, *text) == words.end()) {
        return fmt::format("is one of \"{}\"", fmt::join(words, "\", \""));
    }
    into = core::from_word<Enum>(*text);
    return {};
}

problem take(const value& from, std::optional<core::restart_policy>& into) {
    return take_word(from, into, {"never", "if-needed", "always"});
}

problem take(const value& from, std::optional<core::snapshot_mode>& into) {
    return take_word(from, into, {"live", "paused", "stopped"});
}

problem take(const value& from, std::optional<volume_choice>& into) {
    const auto* text = std::get_if<std::string>(&from);
    if (text != nullptr && (*text == "all" || *text == "none")) {
        into = *text == "all" ? volume_choice{} : volume_choice{texts{}};
        return {};
    }
    const auto* list = std::get_if<texts>(&from);
    if (list == nullptr || std::ranges::find(*list, "") != list->end()) {
        return R"(is "all", "none" or a list, as in ["POOL/VOLUME"])";
    }
    into = volume_choice{*list};
    return {};
}

constexpr const char* no_object = "a recipe is one JSON object: { … }";

/// Gets the events of nlohmann's parser, and makes settings of them until something is wrong.
class events {
public:
    events(std::string name, const progress& so_far) : name_(std::move(name)), so_far_(so_far) {}

    core::expected<settings> result() && {
        if (!problem_.empty()) {
            return core::failure(core::reason::usage, problem_);
        }
        return std::move(settings_);
    }

    bool null() { return complain("has no value: leave the key out instead"); }

    bool boolean(bool truth) { return plain(truth); }

    bool number_integer(std::int64_t number) { return plain(number); }

    bool number_unsigned(std::uint64_t number) {
        constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
        return number <= most ? plain(static_cast<std::int64_t>(number)) : complain("has a number that is too big");
    }

    bool number_float(double, const std::string&) { return complain("wants no number with a fraction"); }

    bool string(const std::string& text) {
        if (depth_ != 2) {
            return plain(text);
        }
        if (auto* list = std::get_if<texts>(&value_)) {
            list->push_back(text);
        } else {
            std::get<pairs>(value_).emplace_back(variable_, text);
        }
        return true;
    }

    bool binary(const ordered_json::binary_t&) { return false; } // JSON text has none

    bool start_object(std::size_t) {
        ++depth_;
        if (depth_ == 1) {
            return true;
        }
        if (depth_ > 2) {
            return complain("wants no object in here");
        }
        value_ = pairs{};
        return true;
    }

    bool start_array(std::size_t) {
        ++depth_;
        if (depth_ != 2) {
            return complain(depth_ == 1 ? no_object : "wants no list in here");
        }
        value_ = texts{};
        return true;
    }

    bool end_object() { return end(); }

    bool end_array() { return end(); }

    bool key(const std::string& name) {
        if (depth_ == 2) {
            variable_ = name;
            const auto& known = std::get<pairs>(value_);
            const bool twice = std::ranges::find(known, name, &pairs::value_type::first) != known.end();
            return !twice || complain("has '" + core::printable(name) + "' twice");
        }
        key_.clear();
        const auto names = key_names();
        if (std::ranges::find(names, name) == names.end()) {
            return complain(fmt::format("there is no key '{}' in recipes{}", core::printable(name),
                                        core::did_you_mean(name, names)));
        }
        const auto [first, is_new] = lines_.emplace(name, so_far_.line_before_last);
        if (!is_new) {
            return complain(fmt::format("key '{}' is already in line {}", name, first->second));
        }
        key_ = name;
        return true;
    }

    bool parse_error(std::size_t, const std::string&, const ordered_json::exception& what) {
        const std::string_view text = what.what();
        const auto behind_position = text.find(": ");
        return complain(fmt::format("this is no JSON: {}",
                                    core::printable(text.substr(
                                        behind_position == std::string_view::npos ? 0 : behind_position + 2))),
                        true);
    }

private:
    bool end() {
        --depth_;
        return depth_ != 1 || take_value();
    }

    /// A value that is neither list nor object.
    bool plain(value what) {
        if (depth_ != 1) {
            return complain(depth_ == 0 ? no_object : "wants texts in here");
        }
        value_ = std::move(what);
        return take_value();
    }

    bool take_value() {
        problem wrong;
        each_key([&](std::string_view name, auto member) {
            if (name == key_) {
                wrong = take(value_, settings_.*member);
            }
        });
        return wrong.empty() || complain(wrong);
    }

    /// Keeps the first problem, with its line. False, which ends the parser.
    bool complain(const std::string& what, bool of_the_text = false) {
        if (problem_.empty()) {
            const bool about_key = !of_the_text && !key_.empty();
            problem_ = fmt::format("{}:{}: {}", core::printable(name_), so_far_.line_before_last,
                                   about_key ? "'" + key_ + "'" + (what.starts_with(':') ? "" : " ") + what : what);
        }
        return false;
    }

    std::string name_;
    const progress& so_far_;
    settings settings_;
    std::string problem_;
    int depth_{0};
    std::string key_;      ///< the one whose value comes
    std::string variable_; ///< the same within an object
    value value_;
    std::map<std::string, int> lines_; ///< of the keys
};

// What a setting looks like in JSON; null when it is not set.

template <class T>
ordered_json written(const T& setting) {
    if constexpr (std::is_enum_v<T>) {
        return core::to_word(setting);
    } else {
        return setting;
    }
}

ordered_json written(milliseconds duration) {
    return core::format_duration(duration);
}

ordered_json written(const volume_choice& choice) {
    if (!choice.names) {
        return "all";
    }
    return choice.names->empty() ? ordered_json("none") : ordered_json(*choice.names);
}

template <class T>
void add(ordered_json& object, const char* name, const std::optional<T>& setting) {
    if (setting) {
        object[name] = written(*setting);
    }
}

void add(ordered_json& object, const char* name, const texts& list) {
    if (!list.empty()) {
        object[name] = list;
    }
}

void add(ordered_json& object, const char* name, const pairs& variables) {
    for (const auto& [variable, text] : variables) {
        object[name][variable] = text;
    }
}

} // namespace

core::expected<settings> read(std::string_view text, const std::string& name) {
    progress so_far;
    events handler(name, so_far);
    constexpr bool whole = true;
    constexpr bool with_comments = true;
    ordered_json::sax_parse(counting_iterator(text.data(), &so_far),
                            counting_iterator(text.data() + text.size(), &so_far), &handler,
                            ordered_json::input_format_t::json, whole, with_comments);
    return std::move(handler).result();
}

std::string write(const settings& what) {
    auto object = ordered_json::object();
    each_key([&](const char* name, auto member) { add(object, name, what.*member); });
    return object.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

} // namespace belay::recipe
