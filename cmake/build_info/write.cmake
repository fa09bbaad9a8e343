# SPDX-License-Identifier: Apache-2.0
# Writes OUTPUT from INPUT with the commit of SOURCE_DIR in it. Runs with each build, and leaves the file as it is when
# nothing changed. A tree without its history, such as an archive, is "unknown": no git is needed to build.
# NOM_COMMIT in the environment wins: a package is built from a copy of the tree.
set(NOM_COMMIT unknown)
if(DEFINED ENV{NOM_COMMIT})
  set(NOM_COMMIT $ENV{NOM_COMMIT})
elseif(EXISTS ${SOURCE_DIR}/.git)
  execute_process(COMMAND git -C ${SOURCE_DIR} rev-parse --short=12 HEAD
    OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE result ERROR_QUIET)
  if(result EQUAL 0)
    set(NOM_COMMIT ${commit})
    execute_process(COMMAND git -C ${SOURCE_DIR} diff-index --quiet HEAD -- RESULT_VARIABLE changed ERROR_QUIET)
    if(NOT changed EQUAL 0)
      string(APPEND NOM_COMMIT "+")
    endif()
  endif()
endif()
configure_file(${INPUT} ${OUTPUT} @ONLY)
