// SPDX-License-Identifier: Apache-2.0
#include "cli/log.hpp"

#include "core/text.hpp"

#include <mutex>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace belay::cli {

namespace {

/// Hands finished lines to the live view.
class view_sink : public spdlog::sinks::base_sink<std::mutex> {
public:
    explicit view_sink(line_sink say) : say_(std::move(say)) {}

protected:
    void sink_it_(const spdlog::details::log_msg& message) override {
        spdlog::memory_buf_t line;
        formatter_->format(message, line);
        say_(std::string_view(line.data(), line.size()));
    }

    void flush_() override {}

private:
    line_sink say_;
};

spdlog::level::level_enum level_of(log_level level) {
    switch (level) {
    case log_level::errors:
        return spdlog::level::err;
    case log_level::warnings:
        return spdlog::level::warn;
    case log_level::phases:
        return spdlog::level::info;
    case log_level::events:
        return spdlog::level::debug;
    }
    return spdlog::level::warn;
}

std::string name_of(const core::key& what) {
    return std::string(core::to_word(what.what)) + (what.target.empty() ? "" : " " + core::printable(what.target));
}

class log_listener : public ports::listener {
public:
    explicit log_listener(std::shared_ptr<spdlog::logger> logger) : logger_(std::move(logger)) {}

    void on(const core::record& r) override {
        if (const auto* warning = std::get_if<core::warned>(&r.what)) {
            logger_->warn("{}: {}", r.instance, core::printable(warning->message));
        } else if (const auto* begin = std::get_if<core::started>(&r.what)) {
            logger_->debug("{}: {} begins, attempt {}", r.instance, name_of(begin->what), begin->attempt);
        } else if (const auto* end = std::get_if<core::finished>(&r.what)) {
            ended(r, *end);
        } else if (const auto* decision = std::get_if<core::decided>(&r.what)) {
            logger_->info("{}: decided to {}", r.instance, core::to_word(decision->what));
        } else if (const auto* why = std::get_if<core::interrupted>(&r.what)) {
            logger_->info("{}: {}", r.instance, core::printable(core::describe(why->why)));
        } else if (const auto* end_of_all = std::get_if<core::closed>(&r.what)) {
            logger_->info("{}: transaction {} ended: {}", r.instance, r.txn, core::to_word(end_of_all->summary.how));
        } else if (!std::holds_alternative<core::output>(r.what)) {
            logger_->debug("{}: {}", r.instance, core::type_of(r.what));
        }
    }

    void recall(const core::record&) override {}

private:
    void ended(const core::record& r, const core::finished& end) {
        if (end.how == core::result::ok) {
            logger_->info("{}: {} ok, {:.3f} s", r.instance, name_of(end.what), end.seconds);
        } else {
            logger_->info("{}: {} {}, {:.3f} s: {}", r.instance, name_of(end.what), core::to_word(end.how), end.seconds,
                          core::printable(core::describe(end.why)));
        }
    }

    std::shared_ptr<spdlog::logger> logger_;
};

} // namespace

std::unique_ptr<ports::listener> make_log(log_level level, line_sink say) {
    spdlog::sink_ptr sink;
    if (say) {
        sink = std::make_shared<view_sink>(std::move(say));
    } else {
        sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    }
    auto logger = std::make_shared<spdlog::logger>("belay", std::move(sink));
    logger->set_level(level_of(level));
    logger->set_pattern("%Y-%m-%d %H:%M:%S.%e %l %v");
    return std::make_unique<log_listener>(std::move(logger));
}

} // namespace belay::cli
