// SPDX-License-Identifier: Apache-2.0
// Reads and writes JSON objects from one list of fields (see shapes.hpp), so that the two directions cannot drift
// apart. Only the sources of this room include it: JSON values go no further.
#pragma once
#include "core/time_text.hpp"
#include "core/words.hpp"

#include <nlohmann/json.hpp>

#include <cmath>
#include <concepts>
#include <limits>
#include <ranges>
#include <string>
#include <type_traits>
#include <utility>

namespace belay::codec {

/// An object whose keys stay in the order in which they were written, with room for those of a record: a map that grows
/// copies what it holds, since its keys are const.
template <class Key, class Value, class Compare, class Allocator>
struct roomy_map : nlohmann::ordered_map<Key, Value, Compare, Allocator> {
    using nlohmann::ordered_map<Key, Value, Compare, Allocator>::ordered_map;

    roomy_map() { this->reserve(32); }
};

using json = nlohmann::basic_json<roomy_map>;

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

/// Text of any bytes as it stands in a document: invalid UTF-8 is replaced by U+FFFD.
inline std::string dumped(const json& value, int indent = -1) {
    return value.dump(indent, ' ', false, json::error_handler_t::replace);
}

/// Puts the fields of a value into a JSON object.
class writer {
public:
    explicit writer(json& object) : object_(object) {}

    /// A field that is always there.
    template <class T>
    void key(const char* name, const T& value) {
        object_[name] = written(value);
    }

    /// A field that is left out when its value says nothing: empty, zero, false.
    template <class T>
    void maybe(const char* name, const T& value) {
        if (!(value == T{})) {
            key(name, value);
        }
    }

    /// A field that is always written, and that an older belay did not know.
    template <class T>
    void later(const char* name, const T& value) {
        key(name, value);
    }

    /// A field that is null when its value says nothing.
    template <class T>
    void or_null(const char* name, const T& value) {
        object_[name] = value == T{} ? json(nullptr) : written(value);
    }

    template <class T>
    static json written(const T& value) {
        if constexpr (std::is_enum_v<T>) {
            return core::to_word(value);
        } else if constexpr (std::same_as<T, core::wall_time>) {
            return core::to_rfc3339(value);
        } else if constexpr (std::same_as<T, core::milliseconds>) {
            return value.count();
        } else if constexpr (std::floating_point<T>) {
            return std::isfinite(value) ? value : T{}; // JSON has no word for the others
        } else if constexpr (std::integral<T> || std::same_as<T, std::string>) {
            return value;
        } else if constexpr (is_optional<T>) {
            return value ? written(*value) : json(nullptr);
        } else if constexpr (std::ranges::range<T>) {
            auto array = json::array();
            for (const auto& item : value) {
                array.push_back(written(item));
            }
            return array;
        } else {
            auto object = json::object();
            writer inner(object);
            fields(inner, value);
            return object;
        }
    }

private:
    json& object_;
};

/// Where a value is in a document. Put together only for those who want to read it.
class place {
public:
    place() = default;

    /// Of a key in an object, which must live as long.
    place(const place& object, std::string_view key) : outer_(&object), key_(key) {}

    /// Of an item in an array, which must live as long.
    place(const place& array, std::size_t index) : outer_(&array), index_(index) {}

    std::string text() const {
        if (outer_ == nullptr) {
            return {};
        }
        auto all = outer_->text();
        if (key_.empty()) {
            return all + "[" + std::to_string(index_) + "]";
        }
        return (all.empty() ? all : all + ".") + std::string(key_);
    }

private:
    const place* outer_{nullptr};
    std::string_view key_{}; ///< empty: of an item
    std::size_t index_{0};
};

/// Takes the fields of a value from a JSON object. The first problem is kept, with the path of its key; after one the
/// values mean nothing.
class reader {
public:
    reader(const json& object, const place& where, std::string& problem)
        : object_(object), where_(where), problem_(problem) {}

    template <class T>
    void key(const char* name, T& value) {
        if (const auto found = find(name); found != object_.end()) {
            read(*found, place(where_, name), value);
        } else {
            complain(place(where_, name), "is missing");
        }
    }

    template <class T>
    void maybe(const char* name, T& value) {
        if (const auto found = find(name); found != object_.end() && !found->is_null()) {
            read(*found, place(where_, name), value);
        }
    }

    template <class T>
    void later(const char* name, T& value) {
        maybe(name, value);
    }

    template <class T>
    void or_null(const char* name, T& value) {
        maybe(name, value);
    }

    template <class T>
    void read(const json& from, const place& where, T& value) {
        if constexpr (std::is_enum_v<T>) {
            const auto known = from.is_string() ? core::from_word<T>(from.get_ref<const std::string&>()) : std::nullopt;
            known ? void(value = *known) : complain(where, "is not a word that this belay knows");
        } else if constexpr (std::same_as<T, core::wall_time>) {
            const auto time = from.is_string() ? core::from_rfc3339(from.get_ref<const std::string&>()) : std::nullopt;
            time ? void(value = *time) : complain(where, "is not a time like 2026-11-23T22:40:00.123Z");
        } else if constexpr (std::same_as<T, core::milliseconds>) {
            core::milliseconds::rep count{};
            read(from, where, count);
            value = core::milliseconds{count};
        } else if constexpr (std::same_as<T, bool>) {
            from.is_boolean() ? void(value = from.get<bool>()) : complain(where, "is not true or false");
        } else if constexpr (std::floating_point<T>) {
            from.is_number() ? void(value = from.get<T>()) : complain(where, "is not a number");
        } else if constexpr (std::integral<T>) {
            read_integer(from, where, value);
        } else if constexpr (std::same_as<T, std::string>) {
            from.is_string() ? void(value = from.get_ref<const std::string&>()) : complain(where, "is not a text");
        } else if constexpr (is_optional<T>) {
            from.is_null() ? value.reset() : read(from, where, value.emplace());
        } else if constexpr (std::ranges::range<T>) {
            read_array(from, where, value);
        } else if (from.is_object()) {
            reader inner(from, where, problem_);
            fields(inner, value);
        } else {
            complain(where, "is not an object");
        }
    }

private:
    /// Keys are asked for in the order in which they were written, so the one behind the last one is looked at first.
    json::const_iterator find(std::string_view name) {
        const bool is_next = next_ != object_.end() && next_.key() == name;
        const auto found = is_next ? next_ : object_.find(name);
        if (found != object_.end()) {
            next_ = std::next(found);
        }
        return found;
    }

    template <class T>
    void read_integer(const json& from, const place& where, T& value) {
        if (from.is_number_unsigned() && std::in_range<T>(from.get<std::uint64_t>())) {
            value = static_cast<T>(from.get<std::uint64_t>());
        } else if (from.is_number_integer() && !from.is_number_unsigned() &&
                   std::in_range<T>(from.get<std::int64_t>())) {
            value = static_cast<T>(from.get<std::int64_t>());
        } else {
            complain(where, "is not a whole number in its range");
        }
    }

    template <class T>
    void read_array(const json& from, const place& where, T& values) {
        if (!from.is_array()) {
            return complain(where, "is not an array");
        }
        values.clear();
        std::size_t index = 0;
        for (const auto& item : from) {
            typename T::value_type value{};
            read(item, place(where, index++), value);
            values.insert(values.end(), std::move(value));
        }
    }

    void complain(const place& where, const char* what) {
        if (problem_.empty()) {
            problem_ = "'" + where.text() + "' " + what;
        }
    }

    const json& object_;
    json::const_iterator next_{object_.begin()};
    place where_; ///< of the object
    std::string& problem_;
};

} // namespace belay::codec
