# SPDX-License-Identifier: MIT
# What --version prints, found when the build is configured. Sets T2M_COMMIT (git describe, or what `git archive` wrote into
# etc/commit, or nothing) and the versions of the libraries, which bridge/base/version.c is given.
set(T2M_COMMIT "")
if(EXISTS ${PROJECT_SOURCE_DIR}/.git)
  find_program(GIT git)
  if(GIT)
    execute_process(COMMAND ${GIT} -C ${PROJECT_SOURCE_DIR} describe --always --dirty --abbrev=10 OUTPUT_VARIABLE T2M_COMMIT
      OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    execute_process(COMMAND ${GIT} -C ${PROJECT_SOURCE_DIR} rev-parse --path-format=absolute --git-path logs/HEAD
      OUTPUT_VARIABLE log OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    if(log AND EXISTS ${log}) # each commit is configured anew
      set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${log})
    endif()
  endif()
else()
  file(STRINGS ${PROJECT_SOURCE_DIR}/etc/commit T2M_COMMIT LIMIT_COUNT 1)
  if(T2M_COMMIT MATCHES "Format") # neither a clone nor an archive made by git
    set(T2M_COMMIT "")
  endif()
endif()

# The numbers that a header defines, with dots between them.
function(header_version out name)
  set(numbers "")
  find_path(directory ${name} PATHS ${MSGPACK_INCLUDE_DIR} NO_CACHE)
  foreach(macro ${ARGN})
    file(STRINGS ${directory}/${name} line REGEX "#[ ]*define ${macro} ")
    string(REGEX MATCH "[0-9]+" number "${line}")
    list(APPEND numbers ${number})
  endforeach()
  list(JOIN numbers "." numbers)
  set(${out} ${numbers} PARENT_SCOPE)
endfunction()

header_version(LIBRARY_libev ev.h EV_VERSION_MAJOR EV_VERSION_MINOR)
header_version(LIBRARY_msgpack-c msgpack/version_master.h MSGPACK_VERSION_MAJOR MSGPACK_VERSION_MINOR MSGPACK_VERSION_REVISION)
set(LIBRARY_libmosquitto ${MOSQUITTO_VERSION})
set(LIBRARY_inih ${INIH_VERSION})
set(LIBRARY_LMDB ${LMDB_VERSION})
set(LIBRARY_OpenSSL ${OPENSSL_VERSION})
set(LIBRARY_libsystemd ${SYSTEMD_VERSION})
set(LIBRARY_libmicrohttpd ${MICROHTTPD_VERSION})
set(LIBRARY_cJSON ${CJSON_VERSION})
set(LIBRARY_zlib ${ZLIB_VERSION})
set(LIBRARY_libsodium ${SODIUM_VERSION})

set(T2M_LIBRARIES "")
foreach(name libev libmosquitto msgpack-c inih LMDB cJSON OpenSSL libmicrohttpd libsodium zlib libsystemd)
  string(APPEND T2M_LIBRARIES "  ${name} ${LIBRARY_${name}}\\n")
endforeach()
add_library(version STATIC bridge/base/version.c)
target_compile_definitions(version PRIVATE "T2M_COMMIT=\"${T2M_COMMIT}\"" "T2M_LIBRARIES=\"${T2M_LIBRARIES}\"")
target_include_directories(version PRIVATE ${PROJECT_SOURCE_DIR})
target_link_libraries(version PRIVATE flags)
