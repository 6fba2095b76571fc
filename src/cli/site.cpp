// SPDX-License-Identifier: Apache-2.0
#include "cli/site.hpp"

#include "cli/surroundings.hpp"
#include "core/names.hpp"
#include "incus/socket.hpp"

#include <random>
#include <unistd.h>

namespace belay::cli {

namespace {

std::string new_transaction_id(const ports::clock& clock) {
    std::random_device random;
    return core::make_transaction_id(std::chrono::floor<std::chrono::seconds>(clock.wall()),
                                     static_cast<std::uint16_t>(random()));
}

} // namespace

core::expected<incus_site> find_incus() {
    BELAY_TRY(auto, program, incus_program());
    BELAY_TRY(auto, socket, incus::find_socket(incus::real_surroundings()));
    return incus_site{std::move(program), std::move(socket), {}};
}

workplace::workplace(const incus_site& incus, const std::filesystem::path& state, const std::string& project,
                     const std::string& instance)
    : host(incus.socket, project, instance, incus.program), runner_(host), locks_(state, journal::read_identity("/")) {
    host.observe(incus.observer);
}

core::expected<new_transaction> begin_transaction(incus::instance& host, const std::filesystem::path& state,
                                                  std::uint64_t log_limit, const ports::clock& clock,
                                                  journal::file_ops& files) {
    host.prepare_examination();
    BELAY_TRY(auto, store, journal::store::open(state, geteuid(), files));
    constexpr int draws = 10; // an ID that is taken is drawn again
    for (int i = 0;; ++i) {
        auto txn = new_transaction_id(clock);
        auto made = store.create_transaction(txn, log_limit);
        if (made) {
            return new_transaction{std::move(txn), *std::move(made)};
        }
        if (!made.error().transient || i == draws) {
            return std::unexpected(made.error());
        }
    }
}

core::report refusal(const core::plan& plan, const core::error& why, const ports::clock& clock) {
    core::report r;
    r.transaction = new_transaction_id(clock);
    r.instance = plan.instance;
    r.project = plan.project;
    r.command = plan.command.argv;
    r.undoes = plan.undoes;
    r.how = core::outcome::refused;
    r.why = why.code;
    r.message = core::describe(why);
    r.exit_code = core::exit_code(r.how);
    r.started = clock.wall();
    return r;
}

core::record only_event(const core::report& r, const ports::clock& clock) {
    return {core::record::version, 1, clock.wall(), clock.boottime(), r.transaction, r.instance, core::closed{r}};
}

} // namespace belay::cli
