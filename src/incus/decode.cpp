// SPDX-License-Identifier: Apache-2.0
#include "incus/decode.hpp"

#include "core/lock_rule.hpp"
#include "core/time_text.hpp"
#include "incus/transport.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>

namespace belay::incus {
namespace {

using nlohmann::json;

constexpr const char* schedule_key = "snapshots.schedule";

/// How the daemon writes the time of what never happens.
constexpr std::string_view never = "0001-01-01T00:00:00";

json parse(std::string_view body) {
    return json::parse(body, nullptr, false);
}

/// A member of an object; null when there is none.
const json& member(const json& in, const char* name) {
    static const json null;
    if (!in.is_object()) {
        return null;
    }
    const auto found = in.find(name);
    return found == in.end() ? null : *found;
}

std::string text(const json& value) {
    return value.is_string() ? value.get<std::string>() : std::string();
}

std::string text(const json& in, const char* name) {
    return text(member(in, name));
}

int number(const json& in, const char* name) {
    const auto& value = member(in, name);
    if (!value.is_number_integer()) {
        return 0;
    }
    const auto wide = value.get<std::int64_t>();
    return std::in_range<int>(wide) ? static_cast<int>(wide) : 0;
}

/// The words that Incus takes for true (shared/util IsTrue).
bool truth(const json& in, const char* name) {
    const auto& value = member(in, name);
    if (value.is_boolean()) {
        return value.get<bool>();
    }
    auto word = text(value);
    std::ranges::transform(word, word.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return word == "true" || word == "1" || word == "yes" || word == "on";
}

/// Sources that the daemon makes up when it starts the instance: there is nothing on them to lose.
bool made_up(const std::string& source) {
    return source.starts_with("cloud-init:") || source.starts_with("agent:") || source.starts_with("tmpfs:") ||
           source.starts_with("tmpfs-overlay:");
}

core::disk decode_disk(const std::string& name, const json& device) {
    core::disk d;
    d.device = name;
    d.path = text(device, "path");
    const auto pool = text(device, "pool");
    const auto source = text(device, "source");
    const bool root = d.path == "/";
    d.source = pool.empty() || source.empty() ? pool + source : pool + "/" + source;
    // `dependent` volumes are part of the instance's snapshots (extension "dependent").
    d.covered = root || truth(device, "dependent");
    d.read_only = truth(device, "readonly") || made_up(source);
    if (!root && !pool.empty() && !source.empty()) {
        d.pool = pool;
        d.volume = source.substr(0, source.find('/')); // a directory of it may be mounted
    }
    return d;
}

std::map<std::string, std::string> decode_texts(const json& object) {
    std::map<std::string, std::string> texts;
    if (object.is_object()) {
        for (const auto& [key, value] : object.items()) {
            texts[key] = text(value);
        }
    }
    return texts;
}

std::map<std::string, std::map<std::string, std::string>> decode_device_settings(const json& devices) {
    std::map<std::string, std::map<std::string, std::string>> all;
    if (devices.is_object()) {
        for (const auto& [name, device] : devices.items()) {
            all[name] = decode_texts(device);
        }
    }
    return all;
}

local_settings decode_local(const json& found) {
    return {decode_texts(member(found, "config")), decode_device_settings(member(found, "devices"))};
}

/// What follows this in the names of an object's members.
std::vector<std::string> names_behind(std::string_view prefix, const json& object) {
    std::vector<std::string> names;
    for (auto at = object.begin(); object.is_object() && at != object.end(); ++at) {
        if (at.key().starts_with(prefix)) {
            names.push_back(at.key().substr(prefix.size()));
        }
    }
    return names;
}

/// `snapshots.schedule` of a configuration; none when it is empty, too.
std::optional<std::string> schedule_in(const json& config) {
    auto schedule = text(config, schedule_key);
    return schedule.empty() ? std::nullopt : std::optional(std::move(schedule));
}

snapshot_state decode_one_snapshot(const json& found) {
    snapshot_state s;
    const auto name = text(found, "name");
    s.name = name.substr(name.rfind('/') + 1); // a list may have INSTANCE/SNAPSHOT
    s.created = core::from_rfc3339(text(found, "created_at")).value_or(core::wall_time{});
    s.local = decode_local(found);
    const auto expiry = text(found, "expires_at");
    if (!expiry.empty() && !expiry.starts_with(never)) {
        s.expires = core::from_rfc3339(expiry);
    }
    return s;
}

void decode_devices(const json& devices, core::instance_facts& facts) {
    if (!devices.is_object()) {
        return;
    }
    for (const auto& [name, device] : devices.items()) {
        if (text(device, "type") != "disk") {
            continue;
        }
        facts.disks.push_back(decode_disk(name, device));
        if (facts.disks.back().path == "/") {
            facts.pool = text(device, "pool");
        }
    }
}

/// Whether a resource of an operation (`/1.0/instances/N`, `/1.0/instances/N/snapshots/S`, with `?project=P` unless
/// that is the default one) belongs to the instance.
bool concerns(const std::string& resource, const std::string& project, const std::string& instance) {
    const auto mark = resource.find('?');
    const auto path = resource.substr(0, mark);
    const auto query = mark == std::string::npos ? std::string() : resource.substr(mark + 1);
    const auto wanted_query = project == "default" ? std::string() : "project=" + escape(project);
    const bool same_project = query == wanted_query || (query == "project=default" && project == "default");
    const auto own = "/1.0/instances/" + escape(instance);
    return same_project && (path == own || path.starts_with(own + "/"));
}

bool concerns_volume(const std::string& resource, const std::vector<std::string>& volumes) {
    const auto path = resource.substr(0, resource.find('?'));
    return std::ranges::any_of(volumes, [&](const auto& own) { return path == own || path.starts_with(own + "/"); });
}

bool concerns_any(const json& resources, const std::string& project, const std::string& instance,
                  const std::vector<std::string>& volumes) {
    if (!resources.is_object()) {
        return false;
    }
    for (const auto& [kind, list] : resources.items()) {
        if (list.is_array() && std::ranges::any_of(list, [&](const json& one) {
                return concerns(text(one), project, instance) || concerns_volume(text(one), volumes);
            })) {
            return true;
        }
    }
    return false;
}

/// The root disk among devices; null when there is none.
const json& root_of(const json& devices) {
    static const json none;
    if (!devices.is_object()) {
        return none;
    }
    const auto found = std::ranges::find_if(
        devices, [](const json& d) { return text(d, "type") == "disk" && text(d, "path") == "/"; });
    return found == devices.end() ? none : *found;
}

bool changes_something(const json& op) {
    const auto kind = text(op, "class");
    const auto what = text(op, "description");
    return kind == "task" || (kind == "websocket" && what != "Executing command" && what != "Showing console");
}

/// `/1.0/instances/N?project=P`, and not a snapshot of it.
bool is_instance(const std::string& path) {
    constexpr std::string_view head = "/1.0/instances/";
    return path.starts_with(head) && path.find('/', head.size()) == std::string::npos;
}

/// The members of an answer beside its metadata. Ends the parsing when it has come to those and knows the others.
class envelope_reader : public nlohmann::json_sax<json> {
public:
    std::map<std::string, std::string, std::less<>> texts; ///< by name
    int error_code{0};

    /// All that an answer has, but for its metadata.
    bool is_whole() const { return at_metadata_ && texts.contains("type") && texts.contains("error"); }

    bool key(string_t& name) override {
        key_ = depth_ == 1 ? name : std::string();
        at_metadata_ = at_metadata_ || key_ == "metadata";
        return !is_whole();
    }

    bool string(string_t& value) override {
        if (depth_ == 1) {
            texts[key_] = value;
        }
        return true;
    }

    bool number_integer(number_integer_t value) override {
        if (depth_ == 1 && key_ == "error_code") {
            error_code = std::in_range<int>(value) ? static_cast<int>(value) : 0;
        }
        return true;
    }

    bool number_unsigned(number_unsigned_t value) override {
        return number_integer(std::in_range<number_integer_t>(value) ? static_cast<number_integer_t>(value) : 0);
    }

    bool start_object(std::size_t) override { return ++depth_ > 0; }

    bool end_object() override { return --depth_ >= 0; }

    bool start_array(std::size_t) override { return ++depth_ > 0; }

    bool end_array() override { return --depth_ >= 0; }

    bool null() override { return true; }

    bool boolean(bool) override { return true; }

    bool number_float(number_float_t, const string_t&) override { return true; }

    bool binary(binary_t&) override { return true; }

    bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
        at_metadata_ = false;
        return false;
    }

private:
    std::string key_;
    int depth_{0};
    bool at_metadata_{false};
};

} // namespace

/// Read up to the metadata, which the daemon puts last and which may be long (the program of an exec is in it); whoever
/// wants that reads it all.
answer decode_answer(std::string_view body) {
    envelope_reader seen;
    if (!json::sax_parse(body, &seen) && !seen.is_whole()) {
        return {};
    }
    answer a;
    a.error_code = seen.error_code;
    a.error = std::move(seen.texts["error"]);
    const auto& type = seen.texts["type"];
    if (type == "error") {
        a.what = answer::kind::error;
    } else if (type == "async") {
        a.operation = std::move(seen.texts["operation"]);
        // It becomes a path of the next request.
        if (a.operation.starts_with("/1.0/operations/")) {
            a.what = answer::kind::async;
            a.operation = a.operation.substr(0, a.operation.find('?'));
        }
    } else if (type == "sync") {
        a.what = answer::kind::sync;
    }
    return a;
}

operation_state decode_operation(std::string_view body) {
    const auto whole = parse(body);
    const auto& op = member(whole, "metadata");
    const auto& result = member(op, "metadata");
    const int exit_status = result.contains("return") ? number(result, "return") : -1;
    return {number(op, "status_code"), text(op, "err"), exit_status};
}

std::map<std::string, std::string> decode_secrets(std::string_view body) {
    const auto whole = parse(body);
    std::map<std::string, std::string> secrets;
    const auto& found = member(member(member(whole, "metadata"), "metadata"), "fds");
    if (found.is_object()) {
        for (const auto& [name, secret] : found.items()) {
            secrets[name] = secret.is_string() ? secret.get<std::string>() : std::string();
        }
    }
    return secrets;
}

core::expected<instance_state> decode_instance(std::string_view body) {
    const auto whole = parse(body);
    const auto& found = member(whole, "metadata");
    if (text(found, "name").empty()) {
        return core::failure(core::reason::io_error, "the Incus daemon's answer cannot be read: it is no instance");
    }
    instance_state s;
    const auto& config = member(found, "config");
    s.status = text(found, "status");
    s.lock = text(config, std::string(core::lock_key_name).c_str());
    s.restored = text(config, std::string(core::restored_key_name).c_str());
    s.local = decode_local(found);
    s.facts.uuid = text(config, "volatile.uuid");
    s.facts.generation = text(config, "volatile.uuid.generation");
    s.facts.type = text(found, "type");
    s.facts.last_used_at = text(found, "last_used_at");
    s.facts.running = s.status == "Running" || s.status == "Ready";
    s.facts.ephemeral = truth(found, "ephemeral");
    s.facts.location = text(found, "location") == "none" ? std::string() : text(found, "location");
    s.facts.description = text(found, "description");
    const auto& expanded = member(found, "expanded_config");
    s.facts.effective_schedule = text(expanded, schedule_key);
    s.variables = names_behind("environment.", expanded);
    if (const auto own = s.local.config.find(schedule_key); own != s.local.config.end()) {
        s.facts.schedule = own->second;
    }
    decode_devices(member(found, "expanded_devices"), s.facts);
    return s;
}

std::vector<core::seen_instance> decode_instances(std::string_view body) {
    const auto whole = parse(body);
    std::vector<core::seen_instance> all;
    const auto& list = member(whole, "metadata");
    if (!list.is_array()) {
        return all;
    }
    for (const auto& found : list) {
        const auto& config = member(found, "config");
        core::seen_instance one;
        one.name = text(found, "name");
        one.project = text(found, "project");
        one.uuid = text(config, "volatile.uuid");
        one.location = text(found, "location") == "none" ? std::string() : text(found, "location");
        one.lock = text(config, std::string(core::lock_key_name).c_str());
        one.restored = text(config, std::string(core::restored_key_name).c_str());
        one.readable = config.is_object() && !(text(found, "status") == "Error" && config.empty());
        if (!one.name.empty()) {
            all.push_back(std::move(one));
        }
    }
    return all;
}

std::vector<std::string> decode_snapshot_names(std::string_view body) {
    const auto whole = parse(body);
    std::vector<std::string> names;
    const auto& list = member(whole, "metadata");
    if (list.is_array()) {
        for (const auto& one : list) {
            const auto path = text(one).substr(0, text(one).find('?'));
            names.push_back(path.substr(path.rfind('/') + 1));
        }
    }
    return names;
}

copied_instance decode_for_copy(std::string_view body) {
    const auto whole = parse(body);
    const auto& found = member(whole, "metadata");
    copied_instance source{
        text(found, "name"), text(found, "description"), {}, decode_device_settings(member(found, "expanded_devices"))};
    for (const auto& profile : member(found, "profiles")) {
        source.profiles.push_back(text(profile));
    }
    return source;
}

own_schedule decode_own_schedule(std::string_view body) {
    const auto whole = parse(body);
    const auto& found = member(whole, "metadata");
    return {schedule_in(member(found, "config")), text(found, "description")};
}

server_state decode_server(std::string_view body) {
    const auto whole = parse(body);
    const auto& found = member(whole, "metadata");
    server_state s;
    s.trusted = text(found, "auth") == "trusted";
    s.clustered = truth(member(found, "environment"), "server_clustered");
    s.version = text(member(found, "environment"), "server_version");
    s.fingerprint = text(member(found, "environment"), "certificate_fingerprint");
    s.process = std::to_string(number(member(found, "environment"), "server_pid"));
    const auto drivers = text(member(found, "environment"), "storage"); // of its pools: "dir | btrfs"
    if (!s.clustered && drivers.find('|') == std::string::npos) {
        s.only_driver = drivers;
    }
    for (const auto& extension : member(found, "api_extensions")) {
        s.extensions.insert(text(extension));
    }
    return s;
}

pool_state decode_pool(std::string_view body) {
    const auto whole = parse(body);
    const auto& found = member(whole, "metadata");
    return {text(found, "driver"), decode_texts(member(found, "config"))};
}

std::optional<core::pool_space> decode_pool_space(std::string_view body) {
    const auto whole = parse(body);
    const auto& space = member(member(whole, "metadata"), "space");
    const auto& total = member(space, "total");
    const auto& used = member(space, "used"); // left out when it is 0
    if (!total.is_number_unsigned()) {
        return std::nullopt;
    }
    return core::pool_space{total.get<std::uint64_t>(), used.is_number_unsigned() ? used.get<std::uint64_t>() : 0};
}

std::optional<std::int64_t> parse_size(std::string_view text) {
    constexpr std::array<std::pair<std::string_view, std::int64_t>, 15> units{{{"", 1},
                                                                               {"B", 1},
                                                                               {" bytes", 1},
                                                                               {"kB", 1'000},
                                                                               {"MB", 1'000'000},
                                                                               {"GB", 1'000'000'000},
                                                                               {"TB", 1'000'000'000'000},
                                                                               {"PB", 1'000'000'000'000'000},
                                                                               {"EB", 1'000'000'000'000'000'000},
                                                                               {"KiB", 1LL << 10U},
                                                                               {"MiB", 1LL << 20U},
                                                                               {"GiB", 1LL << 30U},
                                                                               {"TiB", 1LL << 40U},
                                                                               {"PiB", 1LL << 50U},
                                                                               {"EiB", 1LL << 60U}}};
    std::int64_t value{};
    const auto [rest, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (problem != std::errc{} || value < 0) {
        return std::nullopt;
    }
    const std::string_view unit(rest, static_cast<std::size_t>(text.data() + text.size() - rest));
    const auto found = std::ranges::find(units, unit, &std::pair<std::string_view, std::int64_t>::first);
    if (found == units.end() || value > std::numeric_limits<std::int64_t>::max() / found->second) {
        return std::nullopt;
    }
    return value * found->second;
}

volume_state decode_volume(std::string_view body) {
    const auto whole = parse(body);
    const auto& found = member(whole, "metadata");
    volume_state v;
    v.content = text(found, "content_type");
    v.size = parse_size(text(member(found, "config"), "size"));
    v.schedule = schedule_in(member(found, "config"));
    for (const auto& user : member(found, "used_by")) {
        const auto path = text(user);
        if (is_instance(path)) {
            v.instances.push_back(path);
        } else if (path.starts_with("/1.0/profiles/")) {
            v.profiles.push_back(path);
        }
    }
    return v;
}

std::vector<std::string> decode_profile_users(std::string_view body) {
    const auto whole = parse(body);
    std::vector<std::string> users;
    for (const auto& user : member(member(whole, "metadata"), "used_by")) {
        if (is_instance(text(user))) {
            users.push_back(text(user));
        }
    }
    return users;
}

std::string instance_label(const std::string& path, const std::string& project) {
    const auto mark = path.find('?');
    const auto name =
        path.substr(path.rfind('/', mark) + 1, mark == std::string::npos ? mark : mark - path.rfind('/', mark) - 1);
    constexpr std::string_view query = "project=";
    const auto at = mark == std::string::npos ? mark : path.find(query, mark);
    const auto where = at == std::string::npos ? std::string("default")
                                               : path.substr(at + query.size(), path.find('&', at) - at - query.size());
    return where == project ? name : where + "/" + name;
}

project_state decode_project(std::string_view body) {
    const auto whole = parse(body);
    const auto& config = member(member(whole, "metadata"), "config");
    const auto texts = decode_texts(config);
    return {truth(config, "restricted"), text(config, "restricted.snapshots"),
            std::ranges::any_of(texts, [](const auto& one) { return one.first.starts_with("limits."); }),
            truth(config, "features.storage.volumes")};
}

std::map<std::string, core::project_limit> decode_project_limits(std::string_view body) {
    const auto whole = parse(body);
    const auto& resources = member(member(whole, "metadata"), "resources");
    std::map<std::string, core::project_limit> limits;
    if (!resources.is_object()) {
        return limits;
    }
    for (const auto& [name, one] : resources.items()) {
        const bool of_pool = name.starts_with("disk."); // the limits.disk.pool.NAME of one pool
        const auto key = "limits." + (of_pool ? "disk.pool." + name.substr(5) : name);
        const auto& limit = member(one, "Limit"); // written so, with a capital
        const auto& usage = member(one, "Usage");
        if (limit.is_number_integer() && usage.is_number_integer()) {
            limits[key] = {limit.get<std::int64_t>(), usage.get<std::int64_t>(), 0};
        }
    }
    return limits;
}

std::map<std::string, std::int64_t> decode_claims(std::string_view body) {
    constexpr std::int64_t default_state_size = 500LL << 20U; // DefaultVMBlockFilesystemSize
    const auto whole = parse(body);
    const auto& found = member(whole, "metadata");
    const auto& config = member(found, "expanded_config");
    const bool machine = text(found, "type") == "virtual-machine";
    std::map<std::string, std::int64_t> claims{{"limits.instances", 1},
                                               {machine ? "limits.virtual-machines" : "limits.containers", 1}};
    claims["limits.memory"] = parse_size(text(config, "limits.memory")).value_or(0);
    claims["limits.cpu"] = parse_size(text(config, "limits.cpu")).value_or(0);
    claims["limits.processes"] = machine ? 0 : parse_size(text(config, "limits.processes")).value_or(0);
    if (const auto size = decode_root_size(body)) {
        const auto& root = root_of(member(found, "expanded_devices"));
        const auto state = machine ? parse_size(text(root, "size.state")).value_or(default_state_size) : 0;
        claims["limits.disk"] = *size + state;
        claims["limits.disk.pool." + text(root, "pool")] = *size + state;
    }
    return claims;
}

std::optional<std::int64_t> decode_root_size(std::string_view body) {
    const auto whole = parse(body);
    return parse_size(text(root_of(member(member(whole, "metadata"), "expanded_devices")), "size"));
}

std::string decode_member_status(std::string_view body) {
    return text(member(parse(body), "metadata"), "status");
}

snapshot_state decode_snapshot(std::string_view body) {
    const auto whole = parse(body);
    return decode_one_snapshot(member(whole, "metadata"));
}

std::vector<snapshot_state> decode_snapshots(std::string_view body) {
    const auto whole = parse(body);
    std::vector<snapshot_state> all;
    if (const auto& list = member(whole, "metadata"); list.is_array()) {
        for (const auto& one : list) {
            all.push_back(decode_one_snapshot(one));
        }
    }
    std::ranges::stable_sort(all, {}, &snapshot_state::created);
    return all;
}

std::vector<core::snapshot_entry> decode_entries(std::string_view body) {
    std::vector<core::snapshot_entry> all;
    for (auto& s : decode_snapshots(body)) {
        const auto key = s.local.config.find(std::string(core::lock_key_name));
        all.push_back(
            {std::move(s.name), s.created, key == s.local.config.end() ? std::string() : key->second, s.expires});
    }
    return all;
}

std::string decode_expiry(std::string_view body) {
    const auto whole = parse(body);
    auto when = text(member(whole, "metadata"), "expires_at");
    return when.starts_with(never) ? std::string() : when;
}

bool lists_active(std::string_view body) {
    const auto whole = parse(body);
    const auto& groups = member(whole, "metadata");
    const auto is_active = [](const auto& group) {
        const auto& status = group.key();
        const bool ended = status == "success" || status == "failure" || status == "cancelled";
        return !ended && !group.value().empty();
    };
    const auto all = groups.items();
    return groups.is_object() && std::any_of(all.begin(), all.end(), is_active);
}

std::vector<task> decode_tasks(std::string_view body, const std::string& project, const std::string& instance,
                               const std::vector<std::string>& volumes) {
    std::vector<task> tasks;
    const auto whole = parse(body);
    const auto& groups = member(whole, "metadata");
    if (!groups.is_object()) {
        return tasks;
    }
    for (const auto& [status, operations] : groups.items()) {
        if (!operations.is_array()) {
            continue;
        }
        for (const auto& op : operations) {
            const int code = number(op, "status_code");
            if (code < 200 && changes_something(op) && !text(op, "id").empty() &&
                concerns_any(member(op, "resources"), project, instance, volumes)) {
                tasks.push_back({"/1.0/operations/" + escape(text(op, "id")), text(op, "description")});
            }
        }
    }
    return tasks;
}

} // namespace belay::incus
