# SPDX-License-Identifier: Apache-2.0
# A room is a folder of src with one static library, belay_<name>. USES are the rooms that it may use, and no others:
# what a room links is what it can include, so that a wrong arrow does not link.

add_library(belay_options INTERFACE)
target_compile_options(belay_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror=switch
  $<$<BOOL:${BELAY_WERROR}>:-Werror>
  # GCC 12 takes "text" + string for a copy onto itself (its bug 105651).
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>)
if(BELAY_SANITIZE)
  # GCC 12 takes what the sanitizers add for reads of uninitialised optionals.
  target_compile_options(belay_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all
    -fno-omit-frame-pointer -Wno-maybe-uninitialized)
  target_link_options(belay_options INTERFACE -fsanitize=address,undefined)
elseif(BELAY_TSAN)
  target_compile_options(belay_options INTERFACE -fsanitize=thread -Wno-tsan)
  target_link_options(belay_options INTERFACE -fsanitize=thread)
elseif(BELAY_COVERAGE)
  target_compile_options(belay_options INTERFACE --coverage)
  target_link_options(belay_options INTERFACE --coverage)
elseif(CMAKE_BUILD_TYPE MATCHES "Rel")
  target_compile_definitions(belay_options INTERFACE _GLIBCXX_ASSERTIONS)
  target_compile_options(belay_options INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong)
  target_link_options(belay_options INTERFACE -Wl,-z,relro -Wl,-z,now)
endif()
include(CheckPIESupported)
check_pie_supported(LANGUAGES CXX)

# belay_room(NAME [USES room...] [LINKS library...]): the library of src/NAME, from every .cpp in it.
function(belay_room name)
  cmake_parse_arguments(room "" "" "USES;LINKS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  list(TRANSFORM room_USES PREPEND belay_)
  if(sources)
    add_library(belay_${name} STATIC ${sources})
    target_include_directories(belay_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(belay_${name} PUBLIC ${room_USES} PRIVATE belay_options ${room_LINKS})
  else()
    add_library(belay_${name} INTERFACE)
    target_include_directories(belay_${name} INTERFACE ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(belay_${name} INTERFACE ${room_USES})
  endif()
endfunction()
