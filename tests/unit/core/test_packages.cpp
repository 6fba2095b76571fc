// SPDX-License-Identifier: Apache-2.0
// The list of packages, with the script that makes it run under small fakes of the package managers.
#include "core/packages.hpp"
#include "fakes/temporary_directory.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/wait.h>

using namespace belay;
namespace fs = std::filesystem;

namespace {

struct ran {
    int status{};
    std::string out;
};

/// A system with the managers that a test gives it. The script runs in the shell of this machine, with nothing but the
/// fakes and the basic tools in PATH.
class system_with {
public:
    system_with() {
        fs::create_directories(root_ / "bin");
        for (const auto* tool : {"sed", "sh"}) {
            const auto real =
                fs::exists(fs::path("/bin") / tool) ? fs::path("/bin") / tool : fs::path("/usr/bin") / tool;
            fs::create_symlink(real, root_ / "bin" / tool);
        }
    }

    /// A program that prints `text` and ends with the status.
    void program(const std::string& name, const std::string& text, int status = 0) {
        file("text-" + name, text);
        file("bin/" + name, "#!/bin/sh\nwhile IFS= read -r line; do printf '%s\\n' \"$line\"; done <" +
                                (root_ / ("text-" + name)).string() + "\nexit " + std::to_string(status) + "\n");
        fs::permissions(root_ / "bin" / name, fs::perms::owner_all);
    }

    void file(const std::string& name, const std::string& text) {
        fs::create_directories((root_ / name).parent_path());
        std::ofstream(root_ / name) << text;
    }

    /// With a database, of which the place alone is looked at.
    void rpm(const std::string& text, int status = 0) {
        fs::create_directories(root_ / "var/lib/rpm");
        program("rpm", text, status);
    }

    ran list() const {
        std::string script(core::package_list_script);
        for (const std::string path : {"/var/lib/dpkg/status", "/usr/lib/apk/db/installed", " /lib/apk/db/installed",
                                       "/usr/lib/sysimage/rpm", "/var/lib/rpm"}) {
            const auto at = script.find(path);
            REQUIRE(at != std::string::npos);
            script.insert(at + (path.front() == ' ' ? 1 : 0), root_.string());
        }
        std::ofstream(root_ / "script") << script;
        const auto line =
            "env -i PATH=" + (root_ / "bin").string() + " /bin/sh " + (root_ / "script").string() + " 2>/dev/null";
        FILE* pipe = popen(line.c_str(), "r");
        REQUIRE(pipe != nullptr);
        ran result;
        std::array<char, 4096> piece{};
        for (std::size_t size = 0; (size = fread(piece.data(), 1, piece.size(), pipe)) > 0;) {
            result.out.append(piece.data(), size);
        }
        result.status = WEXITSTATUS(pclose(pipe));
        return result;
    }

    core::package_list packages() const {
        const auto done = list();
        CHECK(done.status == 0);
        return core::parse_packages(done.out);
    }

private:
    fakes::temporary_directory folder_;
    const fs::path& root_ = folder_.path();
};

} // namespace

TEST_CASE("packages of dpkg: every architecture, every state that is there, nothing that only left its configuration",
          "[core]") {
    system_with system;
    system.file("var/lib/dpkg/status", "Package: x\n");
    system.program("dpkg-query", "ii \tlibc6:amd64\t2.36-9+deb12u9\n"
                                 "ii \tlibc6:i386\t2.36-9+deb12u9\n"
                                 "hi \tpostgresql\t1:15.6-0\n"
                                 "iU \topenssl\t3.0.15-1~deb12u1\n"
                                 "iF \tnginx\t1.22.1-9\n"
                                 "iHR\thalf\t1.0\n"
                                 "iW \twaits\t2\n"
                                 "it \ttriggers\t3\n"
                                 "iH \tno-version-yet\t\n"
                                 "rc \told-kernel\t6.1.0-18\n"
                                 "un \tvirtual\t\n"
                                 "pn \tpurged\t\n");
    CHECK(system.packages() == core::package_list{{"half", "1.0"},
                                                  {"libc6:amd64", "2.36-9+deb12u9"},
                                                  {"libc6:i386", "2.36-9+deb12u9"},
                                                  {"nginx", "1.22.1-9"},
                                                  {"openssl", "3.0.15-1~deb12u1"},
                                                  {"postgresql", "1:15.6-0"},
                                                  {"triggers", "3"},
                                                  {"waits", "2"}});
}

TEST_CASE("packages of rpm: epochs, several kernels in whatever order, keys without an architecture", "[core]") {
    system_with system;
    system.rpm("kernel-core.x86_64\t6.8.5-301.fc40\n"
               "bash.x86_64\t5.2.26-3.fc40\n"
               "kernel-core.x86_64\t6.8.4-300.fc40\n"
               "bind.x86_64\t32:9.18.26-1.fc40\n"
               "gpg-pubkey\ta15b79cc-63d04c2c\n");
    const auto before = system.packages();
    CHECK(before.at("kernel-core.x86_64") == "6.8.4-300.fc40 6.8.5-301.fc40");
    CHECK(before.at("bind.x86_64") == "32:9.18.26-1.fc40");
    CHECK(before.size() == 4);
    system.rpm("gpg-pubkey\ta15b79cc-63d04c2c\n"
               "kernel-core.x86_64\t6.8.4-300.fc40\n"
               "kernel-core.x86_64\t6.8.5-301.fc40\n"
               "bind.x86_64\t32:9.18.26-1.fc40\n"
               "bash.x86_64\t5.2.26-3.fc40\n");
    CHECK(core::compare(before, system.packages()).empty());
}

TEST_CASE("packages of apk are read from its database, at its old place and at its new one", "[core]") {
    const std::string database =
        "C:Q1mB95Hq2NUTZ599RDiSsj9w5FrOU=\nP:musl\nV:1.2.4-r2\nA:x86_64\nT:the musl c library\n"
        "F:lib\nR:ld-musl-x86_64.so.1\na:0:0:755\n\n"
        "C:Q1x\nP:busybox\nV:1.36.1-r5\nD:so:libc.musl-x86_64.so.1\nF:etc\nR:V\nZ:Q1P:\n\n";
    for (const auto* place : {"lib/apk/db/installed", "usr/lib/apk/db/installed"}) {
        system_with system;
        system.file(place, database);
        CHECK(system.packages() == core::package_list{{"busybox", "1.36.1-r5"}, {"musl", "1.2.4-r2"}});
    }
}

TEST_CASE("packages of pacman", "[core]") {
    system_with system;
    system.program("pacman", "linux 6.9.arch1-1\nshadow 4.15.1-1\nxorg-server 1:21.1.13-1\n");
    CHECK(system.packages() ==
          core::package_list{{"linux", "6.9.arch1-1"}, {"shadow", "4.15.1-1"}, {"xorg-server", "1:21.1.13-1"}});
}

TEST_CASE("a package manager that is there as a tool only hides no other, and fails nothing", "[core]") {
    system_with system;
    SECTION("dpkg on a system of rpm") {
        system.program("dpkg-query", "dpkg-query: no packages found matching *\n", 1);
        system.rpm("bash.x86_64\t5.2.26-3.fc40\n");
        CHECK(system.packages() == core::package_list{{"bash.x86_64", "5.2.26-3.fc40"}});
    }
    SECTION("rpm on a system of dpkg") {
        system.file("var/lib/dpkg/status", "Package: x\n");
        system.program("dpkg-query", "ii \tbash\t5.2\n");
        system.rpm("error: cannot open Packages database in /var/lib/rpm\n", 1);
        CHECK(system.packages() == core::package_list{{"bash", "5.2"}});
    }
    SECTION("rpm without a database") {
        system.program("pacman", "musl 1.2.4-r2\n");
        system.program("rpm", "forged\t1\n");
        CHECK(system.packages() == core::package_list{{"musl", "1.2.4-r2"}});
    }
    SECTION("the rpm of busybox on a system of apk") {
        system.file("lib/apk/db/installed", "P:musl\nV:1.2.4-r2\n\n");
        system.rpm("Usage: rpm -i PACKAGE.rpm\n", 1);
        CHECK(system.packages() == core::package_list{{"musl", "1.2.4-r2"}});
    }
}

TEST_CASE("a list of packages that is not whole is none: the rest would look as if it had been removed", "[core]") {
    system_with system;
    SECTION("dpkg") {
        system.file("var/lib/dpkg/status", "Package: x\n");
        system.program("dpkg-query", "ii \tbash\t5.2\n", 2);
    }
    SECTION("rpm fails") {
        system.rpm("bash.x86_64\t5.2\n", 1);
    }
    SECTION("rpm says so, and succeeds") {
        system.rpm("bash.x86_64\t5.2\nerror: rpmdbNextIterator: skipping h# 24 blob size\n");
    }
    SECTION("pacman") {
        system.program("pacman", "linux 6.9\n", 1);
    }
    CHECK(system.list().status == 1);
}

TEST_CASE("a system without packages says so", "[core]") {
    system_with system;
    SECTION("no manager") {}
    SECTION("an rpm without packages") {
        system.rpm("");
    }
    const auto done = system.list();
    CHECK(done.status == 77);
    CHECK(core::parse_packages(done.out).empty());
}

TEST_CASE("what is no line of a package is passed over", "[core]") {
    CHECK(core::parse_packages("noise\n\t1\nname\t\na\t1\nb\t2") == core::package_list{{"a", "1"}, {"b", "2"}});
    CHECK(core::parse_packages("").empty());
}

TEST_CASE("the difference of two lists, in a line and whole", "[core]") {
    const auto before = core::parse_packages("a\t1\nb\t1\nc\t1\nd\t1\ne\t1\ngone\t7\n");
    const auto after = core::parse_packages("a\t2\nb\t2\nc\t2\nd\t2\ne\t1\nnew\t9\n");
    const auto diff = core::compare(before, after);
    CHECK(diff.upgraded.size() == 4);
    CHECK(diff.added == std::vector<core::package_version>{{"new", "9"}});
    CHECK(diff.removed == std::vector<core::package_version>{{"gone", "7"}});
    CHECK(core::one_line(diff) == "4 upgraded (a 1 → 2, b 1 → 2, c 1 → 2, …), 1 added (new), 1 removed (gone)");
    CHECK(core::to_text(diff) == "upgraded a 1 → 2\nupgraded b 1 → 2\nupgraded c 1 → 2\nupgraded d 1 → 2\n"
                                 "added new 9\nremoved gone 7\n");
    CHECK(core::compare(before, before).empty());
    CHECK(core::one_line({}) == "no package changed");
    CHECK(core::to_text({}) == "no package changed\n");
}
