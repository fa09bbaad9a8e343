# SPDX-License-Identifier: Apache-2.0
# Reads the headers of large libraries once for all targets that use them: gRPC's alone take longer to
# read than any source of ours takes to compile. Called once, when all targets are there.
#
# Sources still include what they use: the release build and clang-tidy do without this.

set(nom_pch_base
    <algorithm> <cstdint> <functional> <memory> <optional> <string> <utility> <vector>
    <absl/status/status.h> <absl/status/statusor.h> <absl/strings/str_cat.h>)
set(nom_pch_test <gmock/gmock.h> <gtest/gtest.h>)
set(nom_pch_grpc
    <grpcpp/grpcpp.h> <nom/market/v1/market.grpc.pb.h> <nom/operators/v1/operators.grpc.pb.h>)

# g++ 12 does not count what it inlines from precompiled headers as the system's, and has false alarms there about
# std::string. The release build warns.
set(nom_pch_options -Wno-array-bounds)

# Sets `out` to the libraries whose headers the target sees.
function(nom_seen_libraries target out)
  set(seen)
  get_target_property(queue ${target} LINK_LIBRARIES)
  while(queue)
    list(POP_FRONT queue library)
    # LINK_ONLY is what a static library needs and does not show.
    if(NOT TARGET "${library}" OR library IN_LIST seen)
      continue()
    endif()
    list(APPEND seen ${library})
    get_target_property(aliased ${library} ALIASED_TARGET)
    if(aliased)
      list(APPEND queue ${aliased})
    endif()
    get_target_property(more ${library} INTERFACE_LINK_LIBRARIES)
    if(more)
      list(APPEND queue ${more})
    endif()
  endwhile()
  set(${out} ${seen} PARENT_SCOPE)
endfunction()

# The target that has precompiled a kind of headers, such as "base;test", with `options` beside everybody's, and
# position-independent if `pic`: made when first asked for.
function(nom_precompiled out options pic)
  list(JOIN ARGN "_" kind)
  if(pic)
    string(APPEND kind _pic)
  endif()
  string(MAKE_C_IDENTIFIER "${kind}${options}" kind)
  set(name nom_precompiled_${kind})
  if(NOT TARGET ${name})
    file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/precompiled/${kind}.cc CONTENT "" @ONLY)
    add_library(${name} OBJECT ${PROJECT_BINARY_DIR}/precompiled/${kind}.cc)
    target_link_libraries(${name} PRIVATE nom::hosted absl::status absl::statusor absl::strings)
    target_compile_options(${name} PRIVATE ${options} ${nom_pch_options})
    if(pic)
      set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    endif()
    foreach(part ${ARGN})
      target_precompile_headers(${name} PRIVATE ${nom_pch_${part}})
    endforeach()
    if("test" IN_LIST ARGN)
      target_link_libraries(${name} PRIVATE GTest::gmock)
    endif()
    if("grpc" IN_LIST ARGN)
      target_link_libraries(${name} PRIVATE nom::proto)
    endif()
  endif()
  set(${out} ${name} PARENT_SCOPE)
endfunction()

# For all targets of a folder and the folders below.
function(nom_reuse_precompiled folder)
  get_property(folders DIRECTORY ${folder} PROPERTY SUBDIRECTORIES)
  foreach(below ${folders})
    nom_reuse_precompiled(${below})
  endforeach()
  get_property(targets DIRECTORY ${folder} PROPERTY BUILDSYSTEM_TARGETS)
  foreach(target ${targets})
    get_target_property(type ${target} TYPE)
    if(NOT type MATCHES "^(EXECUTABLE|STATIC_LIBRARY|OBJECT_LIBRARY)$" OR target MATCHES "^nom_precompiled_")
      continue()
    endif()
    nom_seen_libraries(${target} seen)
    if(NOT "nom::hosted" IN_LIST seen OR NOT "absl::status" IN_LIST seen)
      continue()
    endif()
    # Headers are taken only by those who have their options: of what is not everybody's, these are known.
    get_target_property(options ${target} COMPILE_OPTIONS)
    get_property(common DIRECTORY ${PROJECT_SOURCE_DIR} PROPERTY COMPILE_OPTIONS)
    list(REMOVE_ITEM options ${common} NOTFOUND options-NOTFOUND)
    if(options AND NOT options STREQUAL "${nom_loops_options}" AND NOT options STREQUAL "${nom_test_options}")
      continue()
    endif()
    set(parts base)
    if("GTest::gmock" IN_LIST seen)
      list(APPEND parts test)
    endif()
    if("nom::proto" IN_LIST seen)
      list(APPEND parts grpc)
    endif()
    get_target_property(pic ${target} POSITION_INDEPENDENT_CODE)
    nom_precompiled(from "${options}" "${pic}" ${parts})
    target_precompile_headers(${target} REUSE_FROM ${from})
    target_compile_options(${target} PRIVATE ${nom_pch_options})
  endforeach()
endfunction()
