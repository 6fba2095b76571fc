// SPDX-License-Identifier: Apache-2.0
#include "cli/log.hpp"

#include "core/text.hpp"
#include "report/stream.hpp"

#include <mutex>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

namespace belay::cli {

namespace {

/// Hands finished lines on.
class saying_sink : public spdlog::sinks::base_sink<std::mutex> {
public:
    explicit saying_sink(line_sink say) : say_(std::move(say)) {}

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

line_sink to_standard_error() {
    const auto out = std::make_shared<report::stream>(STDERR_FILENO);
    return [out](std::string_view line) { out->write(std::string(line) + "\n"); };
}

std::unique_ptr<ports::listener> make_log(log_level level, line_sink say) {
    auto logger = std::make_shared<spdlog::logger>("belay", std::make_shared<saying_sink>(std::move(say)));
    logger->set_level(level_of(level));
    logger->set_formatter(std::make_unique<spdlog::pattern_formatter>("%Y-%m-%d %H:%M:%S.%e %l %v",
                                                                      spdlog::pattern_time_type::local, ""));
    return std::make_unique<log_listener>(std::move(logger));
}

} // namespace belay::cli
