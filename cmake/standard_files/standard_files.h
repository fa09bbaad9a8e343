// SPDX-License-Identifier: Apache-2.0
// Standard input, output and error of a program that was started without one of them.

#ifndef CMAKE_STANDARD_FILES_STANDARD_FILES_H_
#define CMAKE_STANDARD_FILES_STANDARD_FILES_H_

namespace nom {

// Takes the numbers 0, 1 and 2 where whoever started this closed them (`program >&-`): else the
// next socket or file that is opened gets one, and what is said to people goes into it. Reading and
// writing there fail as before.
//
// A program that is linked with this does so before anything else of it runs; main() calls it so
// that it is linked.
void TakeStandardFiles();

}  // namespace nom

#endif  // CMAKE_STANDARD_FILES_STANDARD_FILES_H_
