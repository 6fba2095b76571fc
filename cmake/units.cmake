# SPDX-License-Identifier: Apache-2.0
# Installs the systemd units. Runs when belay is installed, not when it is configured: the service names the program
# with its whole path, and `cmake --install --prefix` decides only then where that will be. DESTDIR says where files are
# collected for a package or an image, not where they will run: nothing inside the unit has it.
#
# Wants BELAY_BINDIR, absolute or below the prefix.
set(program "${BELAY_BINDIR}/belay")
cmake_path(IS_ABSOLUTE program whole)
if(NOT whole)
  set(program "${CMAKE_INSTALL_PREFIX}/${program}")
endif()
cmake_path(ABSOLUTE_PATH program NORMALIZE) # a prefix may be relative, which systemd does not accept

# What would mean something else in ExecStart= (systemd.service(5), systemd.unit(5)).
set(BELAY_PROGRAM "${program}")
string(REPLACE "\\" "\\\\" BELAY_PROGRAM "${BELAY_PROGRAM}")
string(REPLACE "%" "%%" BELAY_PROGRAM "${BELAY_PROGRAM}")
string(REPLACE " " "\\x20" BELAY_PROGRAM "${BELAY_PROGRAM}")

set(BELAY_SHARE "${CMAKE_INSTALL_PREFIX}/share/belay") # in comments only
cmake_path(ABSOLUTE_PATH BELAY_SHARE NORMALIZE)

# Not CMAKE_INSTALL_LIBDIR: systemd does not look into lib64 or lib/x86_64-linux-gnu.
set(units "${CMAKE_INSTALL_PREFIX}/lib/systemd/system")
set(templates "${CMAKE_CURRENT_LIST_DIR}/../examples/systemd")
foreach(name IN ITEMS belay-recover belay@)
  file(INSTALL DESTINATION "${units}" TYPE FILE FILES "${templates}/${name}.timer")

  # As they stand in examples/systemd they are right for the prefix /usr/local.
  set(service "$ENV{DESTDIR}${units}/${name}.service")
  message(STATUS "Installing: ${service}")
  file(READ "${templates}/${name}.service" text)
  string(REPLACE "/usr/local/bin/belay" "${BELAY_PROGRAM}" text "${text}")
  string(REPLACE "/usr/local/share/belay" "${BELAY_SHARE}" text "${text}")
  file(WRITE "${service}" "${text}")
  file(CHMOD "${service}" PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
  list(APPEND CMAKE_INSTALL_MANIFEST_FILES "${units}/${name}.service")
endforeach()
