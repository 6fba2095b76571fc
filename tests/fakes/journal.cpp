// SPDX-License-Identifier: Apache-2.0
#include "fakes/journal.hpp"

namespace belay::fakes {

core::expected<void> fake_journal::append(const core::record& r) {
    points_.reach("append", moment::before);
    if (broken_ || fails(r)) {
        return core::failure(core::reason::io_error, "the state directory is full");
    }
    records.push_back(r);
    if (core::durable(r.what)) {
        points_.reach("append", moment::midway);
        BELAY_TRY_VOID(sync(r));
    }
    points_.reach("append", moment::after);
    return {};
}

core::expected<void> fake_journal::log(std::string_view bytes) {
    logged += bytes;
    return {};
}

core::expected<void> fake_journal::save(const std::string& file, std::string_view text) {
    if (save_fails(file)) {
        return core::failure(core::reason::io_error, "could not save " + file + ": No space left on device");
    }
    saved[file] = text;
    return {};
}

core::expected<std::string> fake_journal::load(const std::string& file) const {
    const auto found = saved.find(file);
    return found == saved.end() ? core::failure(core::reason::io_error, "there is no " + file)
                                : core::expected<std::string>(found->second);
}

core::expected<void> fake_journal::sync(const core::record& r) {
    if (sync_fails(r)) {
        records.pop_back();
        broken_ = true;
        return core::failure(core::reason::io_error, "the state directory cannot be synced");
    }
    synced = records.size();
    return {};
}

core::expected<std::optional<core::decision>> fake_decisions::read() {
    if (const auto news = from_outside && !holds ? from_outside() : std::nullopt) {
        holds = news;
    }
    return holds;
}

core::expected<core::decision> fake_decisions::publish(const core::decision& wanted) {
    points_.reach("publish", moment::before);
    if (!holds) {
        holds = wanted;
    }
    points_.reach("publish", moment::after);
    return *holds;
}

} // namespace belay::fakes
