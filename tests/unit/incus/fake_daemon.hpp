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

    // The world. Tests change it only while no request is under way.
    std::string status{"Running"};
    json config{{"volatile.uuid", "u-1"}};
    json devices{{"root", {{"type", "disk"}, {"path", "/"}, {"pool", "p"}}}}; ///< with those of the profiles
    json local_devices = json::object();
    std::string pool{"p"};
    std::string driver{"btrfs"};
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
    std::vector<std::string> asked() const {
        std::vector<std::string> all;
        for (const auto& r : server.seen()) {
            all.push_back(r.method + " " + r.path.substr(0, r.path.find('?')));
        }
        return all;
    }

    /// Puts an operation under way that another process began.
    void begin_foreign(const std::string& what, milliseconds takes) {
        const std::lock_guard lock(mutex_);
        operations[next_id()] = {.takes = takes, .description = what};
    }

private:
    static http_reply sync(const json& metadata, std::string tag = {}) {
        return {.status = 200, .body = envelope("sync", metadata).dump(), .etag = std::move(tag)};
    }

    static http_reply failure(int status, const std::string& why, int http = 0) {
        auto e = envelope("error", nullptr);
        e["error_code"] = status;
        e["error"] = why;
        return {.status = http == 0 ? status : http, .body = e.dump()};
    }

    static json envelope(const char* type, const json& metadata) {
        return {{"type", type},    {"status", "x"}, {"status_code", 200},  {"operation", ""},
                {"error_code", 0}, {"error", ""},   {"metadata", metadata}};
    }

    std::string next_id() { return "op-" + std::to_string(operations.size() + 1); }

    http_reply begin(std::function<void()> effect, milliseconds takes = {}, std::string error = {}) {
        const auto id = next_id();
        operation op{.error = next_error.empty() ? std::move(error) : std::exchange(next_error, {}),
                     .takes = std::max(takes, operations_take),
                     .effect = std::move(effect)};
        if (busy > 0) {
            --busy;
            op.error = busy_words;
        }
        operations[id] = std::move(op);
        auto e = envelope("async", describe(id));
        e["operation"] = "/1.0/operations/" + id;
        return {.status = 202, .body = e.dump()};
    }

    json describe(const std::string& id) {
        const auto& op = operations.at(id);
        return {{"id", id},
                {"class", "task"},
                {"description", op.description},
                {"status_code", !op.done           ? 103
                                : op.error.empty() ? 200
                                                   : 400},
                {"err", op.done ? op.error : ""},
                {"resources", {{"instances", {"/1.0/instances/web1"}}}}};
    }

    void progress() {
        for (auto& [id, op] : operations) {
            if (!op.done && std::chrono::steady_clock::now() - op.begin >= op.takes) {
                op.done = true;
                if (op.error.empty() && op.effect) {
                    op.effect();
                }
            }
        }
    }

    bool was_asked(const std::string& path) const {
        const auto until = std::chrono::steady_clock::now() + milliseconds(5'000);
        for (;; std::this_thread::sleep_for(milliseconds(2))) {
            const auto all = asked();
            if (std::ranges::find(all, "GET " + path) != all.end()) {
                return true;
            }
            if (std::chrono::steady_clock::now() >= until) {
                return false;
            }
        }
    }

    http_reply answer(const http_request& r) {
        const auto path = r.path.substr(0, r.path.find('?'));
        if (garbage) {
            return {.status = 200, .body = "<html>\xff\x00 not json"};
        }
        if (forbids || path == forbids_one || hidden.contains(path) ||
            (forbids_pools && path.starts_with("/1.0/storage-pools"))) {
            return failure(403, "Forbidden");
        }
        if (path.starts_with("/1.0/operations/") && path.ends_with("/wait")) {
            return wait(path.substr(16, path.size() - 21), std::stoi(r.path.substr(r.path.find("timeout=") + 8)));
        }
        if (path == hangs) {
            return {.delay = milliseconds(10'000)};
        }
        if (path == after.first && !was_asked(after.second)) {
            return failure(500, "nobody asked for " + after.second);
        }
        const std::lock_guard lock(mutex_);
        if (path == cut_once) {
            cut_once.clear();
            return {.status = 200, .body = envelope("sync", json::object()).dump(), .cut = true};
        }
        progress();
        if (path == "/1.0/operations") {
            const bool whole = r.path.find("recursion=1") != std::string::npos;
            json by_status = json::object();
            for (const auto& [id, op] : operations) {
                by_status[op.done ? "success" : "running"].push_back(whole ? describe(id)
                                                                           : json("/1.0/operations/" + id));
            }
            return sync(by_status);
        }
        if (path.starts_with("/1.0/operations/")) {
            const auto id = path.substr(16);
            return operations.contains(id) ? sync(describe(id)) : failure(404, "Operation not found");
        }
        if (path == "/1.0") {
            return sync({{"auth", "trusted"},
                         {"api_extensions", {"projects_restrictions"}},
                         {"environment", {{"certificate_fingerprint", "f00d"}, {"server_pid", process}}}});
        }
        if (path == "/1.0/storage-pools/" + pool) {
            return sync({{"name", pool}, {"driver", driver}, {"config", pool_config}});
        }
        if (path == "/1.0/storage-pools/" + pool + "/resources" && pool_space) {
            return sync({{"space", *pool_space}, {"inodes", {{"used", 0}, {"total", 0}}}});
        }
        if (path == "/1.0/cluster/members/" + location) {
            return sync({{"server_name", location}, {"status", member_status}, {"message", ""}});
        }
        if (path.starts_with("/1.0/projects/") && path.ends_with("/state")) {
            return sync({{"resources", project_resources}});
        }
        if (path.starts_with("/1.0/projects/")) {
            return sync({{"config", project_config}});
        }
        if (path == "/1.0/storage-pools/" + pool + "/volumes/custom/data") {
            return r.method == "PATCH" ? change(volume["config"], volume["description"], r) : sync(volume);
        }
        if (others.contains(path)) {
            return sync(json::object());
        }
        if (path != "/1.0/instances/web1" && !path.starts_with("/1.0/instances/web1/")) {
            return no_instance(path.substr(path.rfind("/instances/") + 11));
        }
        return about_instance(r, path.substr(19));
    }

    /// What is asked for may be one of its snapshots: the daemon says INSTANCE/SNAPSHOT then.
    static http_reply no_instance(std::string name) {
        if (const auto below = name.find("/snapshots/"); below != std::string::npos) {
            name.erase(below, 10);
        }
        return failure(404, "Failed to fetch instance \"" + name + "\" in project \"default\": Instance not found");
    }

    http_reply wait(const std::string& id, int seconds) {
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
        for (;; std::this_thread::sleep_for(milliseconds(2))) {
            const std::lock_guard lock(mutex_);
            progress();
            if (forgets || !operations.contains(id)) {
                return failure(404, "Operation not found");
            }
            if (cut_waits > 0) {
                --cut_waits;
                return {.status = 200, .body = describe(id).dump(), .cut = true};
            }
            if (early_timeouts > 0) {
                --early_timeouts;
                return failure(500, "context deadline exceeded", 200);
            }
            const auto& op = operations.at(id);
            if (op.done) { // an error comes with HTTP status 200
                return op.error.empty() ? sync(describe(id)) : failure(500, op.error, 200);
            }
            if (std::chrono::steady_clock::now() >= until) {
                return failure(500, "context deadline exceeded", 200);
            }
        }
    }

    http_reply about_instance(const http_request& r, const std::string& below) {
        if (below.starts_with("/snapshots")) {
            return about_snapshot(r, below.size() > 11 ? below.substr(11) : std::string());
        }
        if (below == "/state") {
            return change_state(json::parse(r.body));
        }
        const auto tag = "\"tag-" + std::to_string(etag) + "\"";
        if (r.method == "GET") {
            return sync({{"name", "web1"},
                         {"status", status},
                         {"type", "container"},
                         {"config", config},
                         {"ephemeral", ephemeral},
                         {"description", description},
                         {"devices", local_devices},
                         {"expanded_devices", devices},
                         {"expanded_config", expanded_config},
                         {"location", location},
                         {"last_used_at", "2026-01-01T00:00:00Z"}},
                        tag);
        }
        if (r.method == "PATCH") {
            return patch(r, tag);
        }
        const auto name = json::parse(r.body).at("restore").get<std::string>();
        return begin(
            [this] {
                status = "Stopped";
                config["restored"] = "yes";
            },
            {}, snapshots.contains(name) ? "" : "Snapshot web1/" + name + " does not exist");
    }

    http_reply patch(const http_request& r, const std::string& tag) {
        if (r.headers.contains("if-match") && r.headers.at("if-match") != tag) {
            return failure(412, "ETag doesn't match");
        }
        if (busy > 0) {
            --busy;
            return failure(500, "Failed to create instance update operation: " + std::string(busy_words));
        }
        ++etag;
        json now = description;
        auto done = change(config, now, r);
        description = now;
        return done;
    }

    /// As Incus 6.0 does it: a description that is not sent is an empty one.
    static http_reply change(json& keys, json& words, const http_request& r) {
        const json changes = json::parse(r.body);
        for (const auto& [key, value] : changes.at("config").items()) {
            if (value == "") {
                keys.erase(key);
            } else {
                keys[key] = value;
            }
        }
        words = changes.value("description", "");
        return sync(json::object());
    }

    http_reply about_snapshot(const http_request& r, const std::string& name) {
        if (r.method == "POST") {
            const auto wanted = json::parse(r.body);
            const auto made = wanted.at("name").get<std::string>();
            const auto expires = wanted.at("expires_at").get<std::string>();
            snapshots[made] = {expires}; // its row comes before the copy
            return begin([] {});
        }
        if (name.empty()) {
            return r.path.find("recursion=1") == std::string::npos ? list_names() : list_snapshots();
        }
        if (!snapshots.contains(name)) {
            return failure(404, "Failed to fetch snapshot \"" + name +
                                    "\" of instance \"web1\" in project \"default\": Instance_snapshot not found");
        }
        if (r.method == "DELETE") {
            return begin([this, name] { snapshots.erase(name); });
        }
        if (r.method == "PUT") {
            const auto expires = json::parse(r.body).at("expires_at").get<std::string>();
            return begin([this, name, expires] {
                if (!stubborn_expiry) {
                    snapshots[name].expires = expires;
                }
            });
        }
        return sync({{"name", name}, {"expires_at", snapshots[name].expires}});
    }

    /// As with recursion=1.
    http_reply list_names() const {
        json all = json::array();
        for (const auto& [name, one] : snapshots) {
            all.push_back("/1.0/instances/web1/snapshots/" + name);
        }
        return sync(all);
    }

    http_reply list_snapshots() const {
        json all = json::array();
        for (const auto& [name, one] : snapshots) {
            all.push_back({{"name", name},
                           {"created_at", one.created},
                           {"expires_at", one.expires},
                           {"config", one.config},
                           {"devices", one.devices}});
        }
        return sync(all);
    }

    http_reply change_state(const json& wanted) {
        const auto action = wanted.at("action").get<std::string>();
        if (action == "start") {
            return begin([this] { status = "Running"; }, {},
                         status == "Stopped" ? "" : "The instance is already running");
        }
        if (action == "freeze") {
            return begin([this] { status = "Frozen"; }, {},
                         status == "Frozen" ? "The container is already frozen" : "");
        }
        if (action == "unfreeze") {
            return begin([this] { status = "Running"; }, {},
                         status == "Frozen" ? "" : "The container is already running");
        }
        if (status == "Stopped") {
            return begin({}, {}, "The instance is already stopped");
        }
        const bool force = wanted.at("force").get<bool>();
        const milliseconds patience = std::chrono::seconds(wanted.at("timeout").get<int>());
        if (!force && shutdown_takes > patience) {
            return begin({}, patience, "Failed shutting down instance: context deadline exceeded");
        }
        return begin([this] { status = "Stopped"; }, force ? milliseconds(0) : shutdown_takes);
    }

    static constexpr const char* busy_words = "Instance is busy running a \"stop\" operation";
    std::mutex mutex_;

public:
    http_server server{[this](const http_request& r) { return answer(r); }}; ///< last: it ends before what it serves
};

} // namespace belay::fakes
