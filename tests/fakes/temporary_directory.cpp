// SPDX-License-Identifier: Apache-2.0
#include "fakes/temporary_directory.hpp"

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>

namespace belay::fakes {

temporary_directory::temporary_directory() {
    auto name = (std::filesystem::temp_directory_path() / "belay-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
        throw std::system_error(errno, std::generic_category(), name);
    }
    path_ = name;
}

temporary_directory::~temporary_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

} // namespace belay::fakes
