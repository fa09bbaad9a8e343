// SPDX-License-Identifier: Apache-2.0
// What guests of the test machine do: one program, its first word says what. Static, small, no
// library of ours.

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr size_t kPageBytes = 4096;

size_t MiB(const char* text) { return static_cast<size_t>(std::atol(text)) << 20; }

char* Fill(size_t bytes) {
  void* const memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) std::exit(4);
  char* const pages = static_cast<char*>(memory);
  for (size_t at = 0; at < bytes; at += kPageBytes) pages[at] = static_cast<char>(at >> 12 | 1);
  return pages;
}

// Uses the processor, all that it is given.
[[noreturn]] void Spin() {
  for (;;) asm volatile("");
}

// Takes memory and keeps it, whatever it is asked.
[[noreturn]] void Keep(size_t bytes) {
  Fill(bytes);
  for (;;) pause();
}

// Takes memory; gives all but `rest` of it back when a file appears, as it would on a notice.
[[noreturn]] void GiveBack(size_t bytes, size_t rest, const char* when) {
  char* const pages = Fill(bytes);
  while (access(when, F_OK) != 0) usleep(1000);
  madvise(pages + rest, bytes - rest, MADV_DONTNEED);
  for (;;) pause();
}

// Fills the page cache by reading a file over and over.
[[noreturn]] void Cache(const char* path) {
  char buffer[kPageBytes];
  for (;;) {
    const int fd = open(path, O_RDONLY);
    if (fd < 0) std::exit(5);
    while (read(fd, buffer, sizeof(buffer)) > 0) {
    }
    close(fd);
    usleep(10'000);
  }
}

// Reads a disk past the page cache, as many bytes a request as it is told to.
[[noreturn]] void ReadDisk(const char* path, size_t bytes) {
  void* const buffer =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const int fd = open(path, O_RDONLY | O_DIRECT);
  if (fd < 0 || buffer == MAP_FAILED) std::exit(6);
  for (off_t at = 0;; at = (at + static_cast<off_t>(bytes)) % (64 << 20)) {
    if (pread(fd, buffer, bytes, at) < 0) std::exit(7);
  }
}

// Takes one connection after the other; sends as much as it can, or takes what comes.
[[noreturn]] void Serve(int port, bool sends) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  if (bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(listener, 4) != 0) {
    std::exit(8);
  }
  static char buffer[1 << 16];
  for (;;) {
    const int peer = accept(listener, nullptr, nullptr);
    while ((sends ? send(peer, buffer, sizeof(buffer), MSG_NOSIGNAL)
                  : recv(peer, buffer, sizeof(buffer), 0)) > 0) {
    }
    close(peer);
  }
}

// Has as many children as it can, and they do.
[[noreturn]] void Bomb() {
  for (;;) {
    if (fork() < 0) usleep(1000);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const char* const what = argc > 1 ? argv[1] : "";
  if (std::strcmp(what, "spin") == 0) Spin();
  if (std::strcmp(what, "keep") == 0 && argc > 2) Keep(MiB(argv[2]));
  if (std::strcmp(what, "give") == 0 && argc > 4) GiveBack(MiB(argv[2]), MiB(argv[3]), argv[4]);
  if (std::strcmp(what, "cache") == 0 && argc > 2) Cache(argv[2]);
  if (std::strcmp(what, "read") == 0 && argc > 3) {
    ReadDisk(argv[2], static_cast<size_t>(std::atol(argv[3])));
  }
  if (std::strcmp(what, "source") == 0 && argc > 2) Serve(std::atoi(argv[2]), true);
  if (std::strcmp(what, "sink") == 0 && argc > 2) Serve(std::atoi(argv[2]), false);
  if (std::strcmp(what, "bomb") == 0) Bomb();
  if (std::strcmp(what, "exit") == 0 && argc > 2) return std::atoi(argv[2]);
  return 2;
}
