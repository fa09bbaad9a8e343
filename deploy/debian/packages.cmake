# SPDX-License-Identifier: Apache-2.0
# Four Debian packages, one a component of `cmake --install`: ./nom package, or cpack in a build directory.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME nom)
set(CPACK_PACKAGE_VENDOR "the nom project")
set(CPACK_PACKAGE_CONTACT "the nom project <nom@localhost>")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/packages)
set(CPACK_STRIP_FILES ON)
set(CPACK_SET_DESTDIR OFF)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_COMPONENTS_ALL nom-marketd nomctl libnom-dev)
if(NOM_BUILD_NOMHV)
  list(APPEND CPACK_COMPONENTS_ALL nomhv)
endif()
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)

set(CPACK_DEBIAN_NOM-MARKETD_PACKAGE_NAME nom-marketd)
set(CPACK_DEBIAN_NOM-MARKETD_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_NOM-MARKETD_DESCRIPTION "clearing house of nom: auctions a machine's resources every round
 Collects bids over gRPC, clears an auction each round, keeps the books in an SQLite ledger, tells hosts who gets what.
 Comes with a systemd unit, Prometheus rules, a Grafana dashboard and the handbook.")
set(CPACK_DEBIAN_NOM-MARKETD_PACKAGE_DEPENDS "systemd | systemd-standalone-sysusers | opensysusers")
set(CPACK_DEBIAN_NOM-MARKETD_PACKAGE_RECOMMENDS nomctl)
set(CPACK_DEBIAN_NOM-MARKETD_PACKAGE_CONTROL_EXTRA
  ${CMAKE_CURRENT_LIST_DIR}/conffiles ${CMAKE_CURRENT_LIST_DIR}/postinst ${CMAKE_CURRENT_LIST_DIR}/prerm
  ${CMAKE_CURRENT_LIST_DIR}/postrm)

set(CPACK_DEBIAN_NOMCTL_PACKAGE_NAME nomctl)
set(CPACK_DEBIAN_NOMCTL_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_NOMCTL_DESCRIPTION "command line of nom's market
 Shows prices, places bids, admits guests, audits the books, clears auctions by any rule.")

set(CPACK_DEBIAN_LIBNOM-DEV_PACKAGE_NAME libnom-dev)
set(CPACK_DEBIAN_LIBNOM-DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_LIBNOM-DEV_PACKAGE_SHLIBDEPS OFF)  # Archives: what they need is below.
set(CPACK_DEBIAN_LIBNOM-DEV_PACKAGE_DEPENDS "libabsl-dev, libgrpc++-dev, libprotobuf-dev, pkg-config")
set(CPACK_DEBIAN_LIBNOM-DEV_DESCRIPTION "SDK of nom's market for C++, and its protobuf files
 find_package(nom) and nom::client: prices at the cost of a memory read, bids, notices, advice on what to bid.")

set(CPACK_DEBIAN_NOMHV_PACKAGE_NAME nomhv)
set(CPACK_DEBIAN_NOMHV_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_NOMHV_PACKAGE_SHLIBDEPS OFF)  # For the bare machine.
set(CPACK_DEBIAN_NOMHV_PACKAGE_SUGGESTS "nom-marketd, qemu-system-x86")
set(CPACK_DEBIAN_NOMHV_DESCRIPTION "nom's hypervisor core, guests for it, and the SDK for guests
 A bare-metal x86-64 image that isolates guests, gives and takes their memory and processor time, and meters them.")

include(CPack)
