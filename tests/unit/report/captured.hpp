// SPDX-License-Identifier: Apache-2.0
// A file that takes what a view writes, and gives it back.
#pragma once
#include <cstdio>
#include <string>
#include <unistd.h>

namespace belay::test {

class captured {
public:
    captured() : file_(std::tmpfile()) {}

    ~captured() { std::fclose(file_); }

    captured(const captured&) = delete;
    captured& operator=(const captured&) = delete;

    int fd() const { return fileno(file_); }

    std::string text() const {
        std::string all;
        char buffer[4096];
        off_t at = 0;
        for (ssize_t size = pread(fd(), buffer, sizeof buffer, at); size > 0;
             size = pread(fd(), buffer, sizeof buffer, at)) {
            all.append(buffer, static_cast<std::size_t>(size));
            at += size;
        }
        return all;
    }

private:
    std::FILE* file_;
};

} // namespace belay::test
