// SPDX-License-Identifier: Apache-2.0
#include "run/package_listing.hpp"

#include <fmt/format.h>

namespace belay::run {

namespace {

constexpr std::string_view head_of_list = "belay: packages";
constexpr std::string_view end_of_list = "belay: end of packages";

} // namespace

std::string list_script() {
    return fmt::format("echo '{}'\n({}) && echo '{}'", head_of_list, core::package_list_script, end_of_list);
}

core::check_spec package_lister() {
    core::check_spec spec;
    spec.name = "package-list";
    spec.args = {list_script()};
    spec.timeout = list_limit;
    return spec;
}

std::optional<core::package_list> whole_list(std::string_view text) {
    const bool whole = text.starts_with(head_of_list) && text.find(end_of_list) != std::string_view::npos;
    return whole ? std::optional(core::parse_packages(text)) : std::nullopt;
}

} // namespace belay::run
