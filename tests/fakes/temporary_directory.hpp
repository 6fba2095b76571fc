// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <filesystem>

namespace belay::fakes {

/// A new directory among the temporary ones, gone at the end of the test with all that is in it.
class temporary_directory {
public:
    temporary_directory();

    temporary_directory(const temporary_directory&) = delete;
    temporary_directory& operator=(const temporary_directory&) = delete;

    ~temporary_directory();

    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

} // namespace belay::fakes
