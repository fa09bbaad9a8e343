// SPDX-License-Identifier: Apache-2.0
// Which build this is: what --version prints and what a fault report should hold.

#ifndef CMAKE_BUILD_INFO_BUILD_INFO_H_
#define CMAKE_BUILD_INFO_BUILD_INFO_H_

namespace nom {

// "0.1.0": of the project, in the order of https://semver.org.
const char* BuildVersion();
// The commit that the tree was at, in 12 hexadecimal digits, with "+" behind it if files differed
// from it; "unknown" where the sources did not come with their history.
const char* BuildCommit();
// The type of build and the compiler: "RelWithDebInfo, GNU 12.2.0".
const char* BuildKind();
// All of it: "0.1.0 (commit 0123456789ab, RelWithDebInfo, GNU 12.2.0)".
const char* BuildText();

}  // namespace nom

#endif  // CMAKE_BUILD_INFO_BUILD_INFO_H_
