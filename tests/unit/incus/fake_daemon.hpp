// SPDX-License-Identifier: Apache-2.0
// A small working Incus: one instance with a status, a configuration with an ETag, snapshots and background operations.
// Answers are shaped as those of Incus 6.0.4. Faults are switched on by tests.
#pragma once
#include "fakes/http_server.hpp"

#include <nlohmann/json.hpp>
#include <optional>
#include <set>

namespace belay::fakes {

class daemon {
public:
    using json = nlohmann::json;
    using milliseconds = std::chrono::milliseconds;

    struct operation {
        std::string error{};            ///< empty: it succeeds
        milliseconds takes{0};          ///< from its begin
        std::function<void()> effect{}; ///< what it does at its end
        std::string description{};
        std::chrono::steady_clock::time_point begin{std::chrono::steady_clock::now()};
        bool done{false};
    };

    struct snapshot {
        std::string expires{"0001-01-01T00:00:00Z"};
        std::string created{"2026-01-01T00:00:00Z"};
        json config = json::object();
        json devices = json::object();
    };

    daemon();
    ~daemon();

    daemon(const daemon&) = delete;
    daemon& operator=(const daemon&) = delete;

    // The world. Tests change it only while no request is under way.
    std::string status{"Running"};
    json config{{"volatile.uuid", "u-1"}};
    json devices{{"root", {{"type", "disk"}, {"path", "/"}, {"pool", "p"}}}}; ///< with those of the profiles
    json local_devices = json::object();
    std::string pool{"p"};
    std::string driver{"btrfs"};
    std::string drivers{}; ///< of all pools, as the server names them
    bool clustered{false};
    int process{7};
    std::set<std::string> others{}; ///< paths of what there is besides: volumes, networks
    json project_config{{"features.images", "true"}};
    json project_resources = json::object(); ///< as in the state of the project
    json pool_config = json::object();
    std::optional<json> pool_space{}; ///< without it the daemon does not say
    std::string location{"none"};     ///< the cluster member that the instance is on
    std::string member_status{"Online"};
    json expanded_config = json::object();
    std::string description{};
    json volume{{"name", "data"}, {"config", json::object()}, {"description", ""}}; ///< data in the pool
    bool ephemeral{false};
    std::map<std::string, snapshot> snapshots;
    std::map<std::string, operation> operations;

    // Faults.
    int busy{0};                   ///< so many requests find the instance busy
    bool busy_in_operation{false}; ///< and are told so by the operation
    std::string next_error{};      ///< the next operation fails with this
    milliseconds operations_take{0};
    milliseconds shutdown_takes{0}; ///< a graceful stop
    int early_timeouts{0};          ///< so many waits are over before their operation is
    int cut_waits{0};               ///< so many waits lose their connection
    bool forgets{false};            ///< operations are gone at once
    bool forbids{false};            ///< 403 to everything
    bool forbids_pools{false};
    std::string forbids_one{};                   ///< 403 to this path
    std::set<std::string> hidden{};              ///< 403 to these
    std::string cut_once{};                      ///< the answer to this path is cut off, once
    std::string hangs{};                         ///< the answer to this path comes too late
    std::pair<std::string, std::string> after{}; ///< the answer to the first path waits until the other was asked for
    bool garbage{false};
    bool stubborn_expiry{false}; ///< says yes, and keeps the expiry

    int etag{1};

    /// The methods and paths of what was asked, without query.
    std::vector<std::string> asked() const;

    /// Puts an operation under way that another process began.
    void begin_foreign(const std::string& what, milliseconds takes);

private:
    static http_reply sync(const json& metadata, std::string tag = {});

    static http_reply failure(int status, const std::string& why, int http = 0);

    static json envelope(const char* type, const json& metadata);

    std::string next_id() { return "op-" + std::to_string(operations.size() + 1); }

    http_reply begin(std::function<void()> effect, milliseconds takes = {}, std::string error = {});

    json describe(const std::string& id);

    void progress();

    bool was_asked(const std::string& path) const;

    http_reply answer(const http_request& r);

    /// What is asked for may be one of its snapshots: the daemon says INSTANCE/SNAPSHOT then.
    static http_reply no_instance(std::string name);

    http_reply wait(const std::string& id, int seconds);

    http_reply about_instance(const http_request& r, const std::string& below);

    http_reply patch(const http_request& r, const std::string& tag);

    /// As Incus 6.0 does it: a description that is not sent is an empty one.
    static http_reply change(json& keys, json& words, const http_request& r);

    http_reply about_snapshot(const http_request& r, const std::string& name);

    /// As with recursion=1.
    http_reply list_names() const;

    http_reply list_snapshots() const;

    http_reply change_state(const json& wanted);

    static constexpr const char* busy_words = "Instance is busy running a \"stop\" operation";
    std::mutex mutex_;

public:
    http_server server{[this](const http_request& r) { return answer(r); }}; ///< last: it ends before what it serves
};

} // namespace belay::fakes
