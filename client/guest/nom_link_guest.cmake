# SPDX-License-Identifier: Apache-2.0
# How a guest image is linked: the same in nom's own tree and in that of others (find_package(nomGuest)).
function(nom_link_guest target script)
  set_target_properties(${target} PROPERTIES LINK_DEPENDS ${script})
  target_link_libraries(${target} PRIVATE gcc)
  # A segment that is writable and executable is a warning of the linker's, and fatal.
  target_link_options(${target} PRIVATE
    -nostdlib -static -no-pie -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,--build-id=none
    -Wl,--gc-sections -Wl,--fatal-warnings -Wl,-u,NomGuestEntry -Wl,-T,${script})
endfunction()
