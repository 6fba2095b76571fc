// SPDX-License-Identifier: Apache-2.0
// The bodies of the requests that belay sends (API document "rest-api").
#pragma once
#include "core/event.hpp"
#include "incus/decode.hpp"
#include "ports/host.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace belay::incus {

/// For PATCH of an instance or a volume: configuration keys, of which an empty value deletes one, and always the
/// description: Incus before 6.0.6 and 6.17 empties that of an instance when it is not sent, and every Incus that of a
/// volume (cmd/incusd/instance_patch.go, storage_volumes.go). No ETag knows of it: it must have been read just before.
std::string settings_body(const std::map<std::string, std::string>& keys, const std::string& description);

/// For PUT …/state. The daemon counts in whole seconds.
std::string state_body(const std::string& action, core::milliseconds patience, bool force);

/// For POST …/snapshots: without the running processes, and for ever. No expiry at all would mean `snapshots.expiry`.
std::string snapshot_body(const std::string& name);

/// For PUT …/snapshots/S: for ever.
std::string eternal_body();

/// For PUT …/snapshots/S: until then; nothing: for ever.
std::string expiry_body(std::optional<core::wall_time> when);

/// For POST /1.0/instances: a copy of an instance as it is, without its snapshots. Every device but the root disk is
/// masked, its profiles' ones too, and neither a lock nor a start by itself comes along.
std::string copy_body(const copied_instance& source, const std::string& name);

/// A program whose three streams are WebSockets (Incus REST API, POST /1.0/instances/{name}/exec); it is started when
/// all of them are connected.
std::string exec_body(const ports::guest_command& command);

/// For the WebSocket that controls a program: sends it a signal (cmd/incus/exec_unix.go, api.InstanceExecControl).
std::string signal_body(int number);

/// For PUT /1.0/instances/N.
std::string restore_body(const std::string& snapshot);

} // namespace belay::incus
