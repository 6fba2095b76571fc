// SPDX-License-Identifier: Apache-2.0
#include "incus/snapshot_lists.hpp"

#include "incus/operations.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace belay::incus {

namespace {

core::expected<std::vector<core::snapshot_entry>> entries_of(const core::expected<response>& answer) {
    if (!answer) {
        return std::unexpected(answer.error());
    }
    if (answer->status == 404) {
        return std::vector<core::snapshot_entry>{};
    }
    const auto what = decode_answer(answer->body);
    if (what.what != answer::kind::sync) {
        return core::failure(core::reason::io_error, "the snapshots of an instance could not be read", what.error);
    }
    return decode_entries(answer->body);
}

} // namespace

std::vector<core::expected<std::vector<core::snapshot_entry>>> snapshots_of(const std::string& socket,
                                                                            const std::vector<instance_name>& which,
                                                                            core::milliseconds limit,
                                                                            std::size_t at_once) {
    const deadline until(limit);
    transport daemon(socket);
    std::vector<core::expected<std::vector<core::snapshot_entry>>> all;
    for (std::size_t from = 0; from < which.size(); from += at_once) {
        std::vector<request> requests;
        for (const auto& one : std::span(which).subspan(from, std::min(at_once, which.size() - from))) {
            requests.push_back({"GET", fmt::format("/1.0/instances/{}/snapshots?recursion=1&project={}",
                                                   escape(one.name), escape(one.project))});
        }
        for (const auto& answer : daemon.send_all(requests, until.left())) {
            all.push_back(entries_of(answer));
        }
    }
    return all;
}

} // namespace belay::incus
