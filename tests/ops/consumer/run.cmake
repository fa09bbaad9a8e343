# SPDX-License-Identifier: Apache-2.0
# Installs the SDK from BUILD_DIR to a prefix of its own, builds the stranger's project in
# SOURCE_DIR against it and nothing else, and runs it. WORK_DIR is made anew each time.
file(REMOVE_RECURSE ${WORK_DIR})
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}: ${result}\n${output}")
  endif()
  message(STATUS "${output}")
endfunction()
run(${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${WORK_DIR}/prefix --component libnom-dev)
run(${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${WORK_DIR}/prefix --component nomctl)
if(NOMHV)
  run(${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${WORK_DIR}/prefix --component nomhv)
endif()

# Nothing that is installed may point back to where it was built.
file(GLOB_RECURSE texts ${WORK_DIR}/prefix/*.cmake ${WORK_DIR}/prefix/*.h)
foreach(text ${texts})
  file(READ ${text} content)
  foreach(place ${BUILD_DIR} ${PROJECT_DIR})
    string(FIND "${content}" "${place}/" found)
    if(NOT found EQUAL -1)
      message(FATAL_ERROR "${text} names ${place}")
    endif()
  endforeach()
endforeach()

run(${CMAKE_COMMAND} -S ${SOURCE_DIR} -B ${WORK_DIR}/build -G Ninja
    -DCMAKE_PREFIX_PATH=${WORK_DIR}/prefix -DCMAKE_CXX_COMPILER=${CXX} -DCMAKE_CXX_FLAGS=${CXX_FLAGS})
run(${CMAKE_COMMAND} --build ${WORK_DIR}/build)
run(${WORK_DIR}/build/stranger)
run(${WORK_DIR}/build/stranger_test)
run(${WORK_DIR}/build/plugin_host ${WORK_DIR}/build/libplugin.so)
# An image that nomhv would take: one entry, no segment both writable and executable.
if(NOMHV)
  run(${PROJECT_DIR}/tests/tidy/segments.sh ${WORK_DIR}/build/hello.elf)
endif()
run(${WORK_DIR}/prefix/bin/nomctl --help)
