// SPDX-License-Identifier: Apache-2.0
#include "core/packages.hpp"

#include <algorithm>

namespace belay::core {

namespace {

/// How many names of a kind stand in a line for people.
constexpr std::size_t names_shown = 3;

/// "3 added (a, b, c, …)"; nothing when there is none.
template <class Item, class Name>
void add_kind(std::string& line, const std::vector<Item>& items, std::string_view kind, Name name) {
    if (items.empty()) {
        return;
    }
    line += (line.empty() ? "" : ", ") + std::to_string(items.size()) + " " + std::string(kind) + " (";
    for (std::size_t i = 0; i < items.size() && i < names_shown; ++i) {
        line += (i == 0 ? "" : ", ") + name(items[i]);
    }
    line += items.size() > names_shown ? ", …)" : ")";
}

std::string change(const package_upgrade& p) {
    return p.name + " " + p.from + " → " + p.to;
}

} // namespace

// dpkg: only what is at least unpacked ("ii", "iU", "iF", "hi", …): what was removed and left its configuration is not
// installed. apk prints `name-version` and nothing to split them by; its database has both.
const std::string_view package_list_script = R"sh(
if command -v dpkg-query >/dev/null 2>&1; then
    dpkg-query -W -f '${db:Status-Abbrev}\t${binary:Package}\t${Version}\n' | sed -n 's/^.[iUFHWt]. *\t//p'
elif command -v rpm >/dev/null 2>&1; then
    rpm -qa --qf '%{NAME}.%{ARCH}\t%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\n'
elif [ -r /lib/apk/db/installed ] || [ -r /usr/lib/apk/db/installed ]; then
    db=/lib/apk/db/installed
    [ -r "$db" ] || db=/usr/lib/apk/db/installed
    name=
    while IFS= read -r line; do
        case "$line" in
            P:*) name=${line#P:} ;;
            V:*) printf '%s\t%s\n' "$name" "${line#V:}" ;;
        esac
    done <"$db"
elif command -v pacman >/dev/null 2>&1; then
    pacman -Q | while read -r name version; do printf '%s\t%s\n' "$name" "$version"; done
else
    exit 77
fi
)sh";

package_list parse_packages(std::string_view text) {
    package_list list;
    while (!text.empty()) {
        const auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        const auto tab = line.find('\t');
        if (tab == std::string_view::npos || tab == 0 || tab + 1 == line.size()) {
            continue;
        }
        auto& versions = list[std::string(line.substr(0, tab))];
        versions += (versions.empty() ? "" : " ") + std::string(line.substr(tab + 1));
    }
    return list;
}

package_diff compare(const package_list& before, const package_list& after) {
    package_diff diff;
    for (const auto& [name, version] : after) {
        const auto old = before.find(name);
        if (old == before.end()) {
            diff.added.push_back({name, version});
        } else if (old->second != version) {
            diff.upgraded.push_back({name, old->second, version});
        }
    }
    for (const auto& [name, version] : before) {
        if (!after.contains(name)) {
            diff.removed.push_back({name, version});
        }
    }
    return diff;
}

std::string one_line(const package_diff& diff) {
    const auto name = [](const package_version& p) { return p.name; };
    std::string line;
    add_kind(line, diff.upgraded, "upgraded", change);
    add_kind(line, diff.added, "added", name);
    add_kind(line, diff.removed, "removed", name);
    return line.empty() ? "no package changed" : line;
}

std::string to_text(const package_diff& diff) {
    std::string text;
    for (const auto& p : diff.upgraded) {
        text += "upgraded " + change(p) + "\n";
    }
    for (const auto& p : diff.added) {
        text += "added " + p.name + " " + p.version + "\n";
    }
    for (const auto& p : diff.removed) {
        text += "removed " + p.name + " " + p.version + "\n";
    }
    return text.empty() ? "no package changed\n" : text;
}

} // namespace belay::core
