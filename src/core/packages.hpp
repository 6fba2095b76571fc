// SPDX-License-Identifier: Apache-2.0
// The packages of an instance, before and after its upgrade.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace belay::core {

/// A package that has another version now. Which of two versions is the newer one only its package manager knows.
struct package_upgrade {
    std::string name;
    std::string from;
    std::string to;

    bool operator==(const package_upgrade&) const = default;
};

struct package_version {
    std::string name;
    std::string version;

    bool operator==(const package_version&) const = default;
};

struct package_diff {
    std::vector<package_upgrade> upgraded;
    std::vector<package_version> added;
    std::vector<package_version> removed;

    bool operator==(const package_diff&) const = default;

    bool empty() const { return upgraded.empty() && added.empty() && removed.empty(); }
};

/// The versions that are installed of each package. Several of one name (kernels, architectures) are one entry, with
/// their versions in order (of the alphabet: the managers have none).
using package_list = std::map<std::string, std::string>;

/// Reads what package_list_script printed: lines of `name<TAB>version`. Lines of another form are passed over.
package_list parse_packages(std::string_view text);

package_diff compare(const package_list& before, const package_list& after);

/// One line for people: `12 upgraded (openssl 3.0.14 → 3.0.15, …), 1 added (x), 2 removed (y, z)`, with a few names
/// of each; "no package changed" when nothing did.
std::string one_line(const package_diff& diff);

/// The whole difference, a line each.
std::string to_text(const package_diff& diff);

/// A POSIX shell script that prints the packages of the instance it runs in, by dpkg, rpm, apk and pacman. Exit status
/// 77 when none of them has packages, 1 when one cannot list them all.
extern const std::string_view package_list_script;

} // namespace belay::core
