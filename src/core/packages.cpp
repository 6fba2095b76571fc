// SPDX-License-Identifier: Apache-2.0
#include "core/packages.hpp"

#include <algorithm>
#include <set>

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

// Every manager that has packages here counts, not every one that is there as a tool: rpm can be installed on Debian,
// and dpkg on Fedora. A list that cannot be read whole is none (exit status 1), since what is missing in it would look
// as if it had been removed; so no exit status may be lost in a pipe.
// dpkg: only what is at least half-installed; what was removed and left its configuration is not there any more. The
// status is three letters, the third is a blank or R (see dpkg-query(1), db:Status-Abbrev).
// rpm: a damaged database gives errors, and perhaps exit status 0. No signatures: they cost more than all the rest.
// apk prints `name-version` and nothing to split them by; its database has both.
const std::string_view package_list_script = R"sh(
LC_ALL=C
export LC_ALL
tab=$(printf '\t')
found=77
if command -v dpkg-query >/dev/null 2>&1 && [ -s /var/lib/dpkg/status ]; then
    list=$(dpkg-query -W -f '${db:Status-Abbrev}\t${binary:Package}\t${Version}\n') || exit 1
    printf '%s\n' "$list" | sed -n "s/^.[HUFWti].$tab//p"
    found=0
fi
for db in /lib/apk/db/installed /usr/lib/apk/db/installed; do
    [ -s "$db" ] || continue
    sed -n -e 's/^P://' -e 't name' -e 's/^V://' -e 't version' -e d -e ': name' -e h -e d -e ': version' -e x -e G \
        -e "s/\n/$tab/p" "$db" || exit 1
    found=0
    break
done
if command -v pacman >/dev/null 2>&1; then
    list=$(pacman -Q 2>/dev/null) || exit 1
    printf '%s\n' "$list" | sed "s/ /$tab/"
    found=0
fi
if command -v rpm >/dev/null 2>&1 && { [ -d /usr/lib/sysimage/rpm ] || [ -d /var/lib/rpm ]; }; then
    list=$(rpm -qa --nosignature --qf '%{NAME}%|ARCH?{.%{ARCH}}|\t%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\n' 2>&1) ||
        list="error: $list"
    case "
$list" in
    *"
error:"*) [ "$found" = 0 ] || exit 1 ;; # last: a mere tool (busybox has one) is no reason to fail
    *"$tab"*)
        printf '%s\n' "$list"
        found=0
        ;;
    esac
fi
exit $found
)sh";

package_list parse_packages(std::string_view text) {
    std::map<std::string, std::set<std::string>> versions;
    while (!text.empty()) {
        const auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        const auto tab = line.find('\t');
        if (tab == std::string_view::npos || tab == 0 || tab + 1 == line.size()) {
            continue;
        }
        versions[std::string(line.substr(0, tab))].emplace(line.substr(tab + 1));
    }
    package_list list;
    for (const auto& [name, several] : versions) {
        auto& all = list[name];
        for (const auto& version : several) {
            all += (all.empty() ? "" : " ") + version;
        }
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
