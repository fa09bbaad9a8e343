// SPDX-License-Identifier: Apache-2.0
// The inputs that are kept in the tree for each fuzz target: what `./nom fuzz` found to reach new
// code or to break a promise. Replayed in every test run, with every compiler.

#ifndef NOM_TESTS_FUZZ_CORPUS_H_
#define NOM_TESTS_FUZZ_CORPUS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace nom::policies {

struct KeptInput {
  std::string name;  // Of its file.
  std::vector<uint8_t> bytes;
};

// Those of a target, such as "fuzz_bid", by rising name. Empty if there is no such folder.
std::vector<KeptInput> Corpus(const std::string& target);

// All together are to stay small, so that a checkout does.
inline constexpr size_t kCorpusBytesMax = 200'000;

// The bytes of all targets' inputs.
size_t CorpusBytes();

// Gives each input of a target to `run`, which aborts where a promise is broken: the one whose name
// was printed last. How many there were.
size_t ReplayCorpus(const std::string& target, void (*run)(const uint8_t*, size_t));

}  // namespace nom::policies

#endif  // NOM_TESTS_FUZZ_CORPUS_H_
