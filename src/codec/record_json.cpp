// SPDX-License-Identifier: Apache-2.0
#include "codec/record_json.hpp"

#include "codec/shapes.hpp"
#include "core/text.hpp"

namespace belay::codec {

namespace {

using stream = core::output::stream;

/// The target is part of the envelope, for all events that are about an act.
template <class Event>
auto* target_in(Event& e) {
    using text = std::conditional_t<std::is_const_v<Event>, const std::string, std::string>;
    return std::visit(
        [](auto& alternative) -> text* {
            if constexpr (requires { alternative.what.target; }) {
                return &alternative.what.target;
            } else {
                return nullptr;
            }
        },
        e);
}

template <class Alternative>
void write_data(writer& w, const Alternative& e) {
    fields(w, e);
}

void write_data(writer& w, const core::output& e) {
    w.key("stream", std::string(e.from == stream::out ? "stdout" : "stderr"));
    w.key("data", core::valid_utf8(e.bytes));
}

template <class Alternative>
void read_data(reader& r, Alternative& e) {
    fields(r, e);
}

void read_data(reader& r, core::output& e) {
    std::string name;
    r.key("stream", name);
    r.key("data", e.bytes);
    e.from = name == "stderr" ? stream::err : stream::out;
}

/// The word of an event, which is that of all of its kind.
template <class Alternative>
std::string_view word_of() {
    static const auto word = core::type_of(core::event(Alternative{}));
    return word;
}

/// Reads the data of the alternative whose word this is; false when there is none.
template <class... Alternatives>
bool read_event(std::string_view type, reader& r, std::variant<Alternatives...>& e) {
    const auto is_this = [&]<class Alternative>(std::type_identity<Alternative>) {
        if (word_of<Alternative>() != type) {
            return false;
        }
        read_data(r, e.template emplace<Alternative>());
        return true;
    };
    return (is_this(std::type_identity<Alternatives>{}) || ...);
}

core::expected<void> check_version(const json& object) {
    const auto v = object.find("v");
    if (v == object.end() || !v->is_number_integer()) {
        return core::failure(core::reason::io_error, "a record without its version: this is no record of belay");
    }
    if (*v > core::record::version) {
        return core::failure(core::reason::io_error,
                             "a record of format version " + v->dump() + ", but this belay knows only version " +
                                 std::to_string(core::record::version) + ": use the newer belay that wrote it");
    }
    if (*v < core::record::version) {
        return core::failure(core::reason::io_error, "a record of format version " + v->dump() + ", which never was");
    }
    return {};
}

/// Where the quote is that ends the JSON text which begins with the one at `i`; the end of all when there is none.
std::size_t end_of_text(std::string_view all, std::size_t i) {
    for (++i; i < all.size() && all[i] != '"'; ++i) {
        i += all[i] == '\\' ? 1 : 0;
    }
    return i;
}

/// Compact JSON with `[]` for every list of objects. What is not whole before is not whole after it.
std::string without_lists_of_objects(std::string_view text) {
    std::string kept;
    kept.reserve(text.size());
    std::size_t depth = 0; // of brackets, from that of the list on
    std::size_t begin = 0; // of what is kept and not yet copied
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '"') {
            i = end_of_text(text, i);
        } else if (depth == 0) {
            if (text[i] == '[' && text.substr(i + 1).starts_with('{')) {
                kept += text.substr(begin, i + 1 - begin);
                depth = 1;
            }
        } else if (text[i] == '[' || text[i] == '{') {
            ++depth;
        } else if ((text[i] == ']' || text[i] == '}') && --depth == 0) {
            begin = i;
        }
    }
    kept += text.substr(begin);
    return kept;
}

} // namespace

std::string to_json_line(const core::record& r) {
    auto object = json::object();
    writer w(object);
    const auto* target = target_in(r.what);
    w.key("v", r.v);
    w.key("seq", r.seq);
    w.key("time", r.time);
    w.key("boottime", r.boottime);
    w.key("txn", r.txn);
    w.key("instance", r.instance);
    w.key("type", std::string(core::type_of(r.what)));
    w.key("target", target == nullptr ? std::string{} : *target);
    std::visit([&](const auto& e) { write_data(w, e); }, r.what);
    return dumped(object);
}

core::expected<core::record> from_json_line(std::string_view line, detail how) {
    const auto shorter = how == detail::brief ? without_lists_of_objects(line) : std::string{};
    const auto object = json::parse(how == detail::brief ? std::string_view(shorter) : line, nullptr, false);
    if (!object.is_object()) {
        return core::failure(core::reason::io_error, "no record: not a JSON object");
    }
    BELAY_TRY_VOID(check_version(object));
    core::record r;
    std::string problem;
    std::string type;
    std::string target;
    reader fields_of(object, {}, problem);
    fields_of.key("seq", r.seq);
    fields_of.key("time", r.time);
    fields_of.key("boottime", r.boottime);
    fields_of.key("txn", r.txn);
    fields_of.key("instance", r.instance);
    fields_of.key("type", type);
    fields_of.key("target", target);
    if (problem.empty() && !read_event(type, fields_of, r.what)) {
        return core::failure(core::reason::io_error, "a record of the type '" + core::printable(type) +
                                                         "', which this belay (format version " +
                                                         std::to_string(core::record::version) + ") does not know");
    }
    if (!problem.empty()) {
        return core::failure(core::reason::io_error, "a record that is not whole: " + core::printable(problem));
    }
    if (auto* where = target_in(r.what)) {
        *where = std::move(target);
    }
    return r;
}

bool is_newer(std::string_view line) {
    static_assert(core::record::version == 1);
    if (line.starts_with(R"({"v":1,)")) {
        return false; // nearly all of them, so this is what they cost
    }
    const auto object = json::parse(line, nullptr, false);
    if (!object.is_object()) {
        return false;
    }
    const auto v = object.find("v");
    return v != object.end() && v->is_number_integer() && *v > core::record::version;
}

} // namespace belay::codec
