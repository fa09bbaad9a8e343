// SPDX-License-Identifier: Apache-2.0
// What a terminal sends when keys are pressed, as names. A pure function.

#ifndef CLIENT_CLI_KEYS_H_
#define CLIENT_CLI_KEYS_H_

#include <string>
#include <vector>

namespace nom::cli {

enum class Key { kQuit, kUp, kDown, kPageUp, kPageDown, kLeft, kRight, kHome, kEnd };

// Takes whole keys off the front of `bytes` and leaves what may be the beginning of another one.
// q, Q and Ctrl-D quit; h, j, k and l are arrows as in vi; what is no key of ours is dropped.
std::vector<Key> TakeKeys(std::string& bytes);

}  // namespace nom::cli

#endif  // CLIENT_CLI_KEYS_H_
