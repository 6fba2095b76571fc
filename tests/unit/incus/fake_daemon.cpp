// SPDX-License-Identifier: Apache-2.0
#include "fake_daemon.hpp"

#include <algorithm>
#include <utility>

namespace belay::fakes {

daemon::daemon() = default;

daemon::~daemon() = default;

std::vector<std::string> daemon::asked() const {
    std::vector<std::string> all;
    for (const auto& r : server.seen()) {
        all.push_back(r.method + " " + r.path.substr(0, r.path.find('?')));
    }
    return all;
}

void daemon::begin_foreign(const std::string& what, milliseconds takes) {
    const std::lock_guard lock(mutex_);
    operations[next_id()] = {.takes = takes, .description = what};
}

http_reply daemon::sync(const json& metadata, std::string tag) {
    return {.status = 200, .body = envelope("sync", metadata).dump(), .etag = std::move(tag)};
}

http_reply daemon::failure(int status, const std::string& why, int http) {
    auto e = envelope("error", nullptr);
    e["error_code"] = status;
    e["error"] = why;
    return {.status = http == 0 ? status : http, .body = e.dump()};
}

daemon::json daemon::envelope(const char* type, const json& metadata) {
    return {{"type", type},    {"status", "x"}, {"status_code", 200},  {"operation", ""},
            {"error_code", 0}, {"error", ""},   {"metadata", metadata}};
}

http_reply daemon::begin(std::function<void()> effect, milliseconds takes, std::string error) {
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

daemon::json daemon::describe(const std::string& id) {
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

void daemon::progress() {
    for (auto& [id, op] : operations) {
        if (!op.done && std::chrono::steady_clock::now() - op.begin >= op.takes) {
            op.done = true;
            if (op.error.empty() && op.effect) {
                op.effect();
            }
        }
    }
}

bool daemon::was_asked(const std::string& path) const {
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

http_reply daemon::answer(const http_request& r) {
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
            by_status[op.done ? "success" : "running"].push_back(whole ? describe(id) : json("/1.0/operations/" + id));
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
                     {"environment",
                      {{"certificate_fingerprint", "f00d"},
                       {"server_pid", process},
                       {"server_clustered", clustered},
                       {"storage", drivers}}}});
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

http_reply daemon::no_instance(std::string name) {
    if (const auto below = name.find("/snapshots/"); below != std::string::npos) {
        name.erase(below, 10);
    }
    return failure(404, "Failed to fetch instance \"" + name + "\" in project \"default\": Instance not found");
}

http_reply daemon::wait(const std::string& id, int seconds) {
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

http_reply daemon::about_instance(const http_request& r, const std::string& below) {
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

http_reply daemon::patch(const http_request& r, const std::string& tag) {
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

http_reply daemon::change(json& keys, json& words, const http_request& r) {
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

http_reply daemon::about_snapshot(const http_request& r, const std::string& name) {
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

http_reply daemon::list_names() const {
    json all = json::array();
    for (const auto& [name, one] : snapshots) {
        all.push_back("/1.0/instances/web1/snapshots/" + name);
    }
    return sync(all);
}

http_reply daemon::list_snapshots() const {
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

http_reply daemon::change_state(const json& wanted) {
    const auto action = wanted.at("action").get<std::string>();
    if (action == "start") {
        return begin([this] { status = "Running"; }, {}, status == "Stopped" ? "" : "The instance is already running");
    }
    if (action == "freeze") {
        return begin([this] { status = "Frozen"; }, {}, status == "Frozen" ? "The container is already frozen" : "");
    }
    if (action == "unfreeze") {
        return begin([this] { status = "Running"; }, {}, status == "Frozen" ? "" : "The container is already running");
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

} // namespace belay::fakes
