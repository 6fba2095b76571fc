// SPDX-License-Identifier: Apache-2.0
// The view without a terminal: plain lines for logs and pipes. belay's own lines begin with the name of the instance,
// those of the command with four spaces.
#pragma once
#include "ports/listener.hpp"
#include "report/lines.hpp"
#include "report/narrator.hpp"
#include "report/stream.hpp"
#include "report/style.hpp"

namespace belay::report {

class plain final : public ports::listener {
public:
    plain(int fd, const style& look);

    void on(const core::record& r) override;

    void recall(const core::record& r) override { narrator_.see(r); }

private:
    void tell(const phase_began& n);
    void tell(const phase_ended& n);
    void tell(const phase_status& n);
    void tell(const remark& n);
    void tell(const not_covered& n);
    void tell(const ended& n);
    void say(std::string_view line);
    void flush();

    style look_;
    stream out_;
    narrator narrator_;
    output_lines lines_;
    std::string buffer_;
};

} // namespace belay::report
