// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/corpus.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace nom::policies {

std::vector<KeptInput> Corpus(const std::string& target) {
  const std::filesystem::path folder = std::filesystem::path(NOM_FUZZ_CORPUS_DIR) / target;
  std::vector<KeptInput> inputs;
  if (!std::filesystem::is_directory(folder)) return inputs;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream file(entry.path(), std::ios::binary);
    KeptInput input{entry.path().filename().string(), {}};
    input.bytes.assign(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    inputs.push_back(std::move(input));
  }
  std::sort(inputs.begin(), inputs.end(),
            [](const KeptInput& a, const KeptInput& b) { return a.name < b.name; });
  return inputs;
}

size_t CorpusBytes() {
  size_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(NOM_FUZZ_CORPUS_DIR)) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  return bytes;
}

size_t ReplayCorpus(const std::string& target, void (*run)(const uint8_t*, size_t)) {
  const std::vector<KeptInput> inputs = Corpus(target);
  for (const KeptInput& input : inputs) {
    std::printf("%s/%s\n", target.c_str(), input.name.c_str());
    std::fflush(stdout);
    run(input.bytes.data(), input.bytes.size());
  }
  return inputs.size();
}

}  // namespace nom::policies
