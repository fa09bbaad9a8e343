// SPDX-License-Identifier: Apache-2.0
// Loads the plug-in named on the command line, and knows nothing of nom itself.

#include <dlfcn.h>

#include <cstdio>

int main(int, char** argv) {
  void* const plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (plugin == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  const auto run = reinterpret_cast<int (*)()>(dlsym(plugin, "StrangersPlugin"));
  const int code = run == nullptr ? 1 : run();
  std::printf("the plug-in says %d\n", code);
  return code;
}
