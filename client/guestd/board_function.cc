// SPDX-License-Identifier: Apache-2.0
#include "client/guestd/board_function.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "client/guest/board.h"

namespace nom::guestd {
namespace {

constexpr size_t kBoardsBytes = 2 * size_t{NOM_FRAME_BYTES};

std::string FirstWord(const std::filesystem::path& file) {
  std::string word;
  std::ifstream(file) >> word;
  return word;
}

void* Map(const std::string& path, size_t bytes, bool writable) {
  const int file = open(path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
  if (file < 0) return MAP_FAILED;
  void* const at =
      mmap(nullptr, bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, file, 0);
  close(file);
  return at;
}

const NomGuestBoard* GuestBoard(const void* boards) {
  return reinterpret_cast<const NomGuestBoard*>(static_cast<const std::byte*>(boards) +
                                                NOM_FRAME_BYTES);
}

}  // namespace

absl::StatusOr<std::unique_ptr<BoardFunction>> BoardFunction::Open(const std::string& devices) {
  std::error_code error;
  std::string found;
  for (const auto& device : std::filesystem::directory_iterator(devices, error)) {
    if (FirstWord(device.path() / "vendor") == "0x4e4d" &&
        FirstWord(device.path() / "device") == "0x0001") {
      found = device.path();
    }
  }
  if (found.empty()) {
    return absl::NotFoundError(
        absl::StrCat("no board function in ", devices, ": this is no guest of nomhv"));
  }
  void* const boards = Map(found + "/resource0", kBoardsBytes, false);
  if (boards == MAP_FAILED) {
    return absl::FailedPreconditionError(absl::StrCat(found, "/resource0: ", std::strerror(errno)));
  }
  void* const registers = Map(found + "/resource1", NOM_PC_DOORBELL_BYTES, true);
  if (registers == MAP_FAILED) {
    absl::Status failed = absl::FailedPreconditionError(
        absl::StrCat(found, "/resource1: ", std::strerror(errno), "; nomhv has it since ABI 1.7"));
    munmap(boards, kBoardsBytes);
    return failed;
  }
  std::unique_ptr<BoardFunction> function(
      new BoardFunction(boards, static_cast<volatile uint64_t*>(registers)));
  if (NomGuestBoard board; !function->Read(&board)) {
    return absl::FailedPreconditionError(
        absl::StrCat(found, ": no board, or of another ABI than ", NOM_ABI_MAJOR));
  }
  return function;
}

BoardFunction::~BoardFunction() {
  munmap(const_cast<void*>(boards_), kBoardsBytes);
  munmap(const_cast<uint64_t*>(registers_), NOM_PC_DOORBELL_BYTES);
}

bool BoardFunction::Read(NomGuestBoard* board) const {
  return guest::CopyBoard(GuestBoard(boards_), board) && board->magic == NOM_GUEST_BOARD_MAGIC &&
         board->abi_version >> 16 == NOM_ABI_MAJOR;
}

NomStatus BoardFunction::Ask(uint32_t what, uint64_t address) {
  registers_[what / sizeof(uint64_t)] = address | (kPieceFrames - 1);
  return static_cast<NomStatus>(registers_[NOM_PC_DOORBELL_STATUS / sizeof(uint64_t)]);
}

NomStatus BoardFunction::Release(uint64_t address) { return Ask(NOM_PC_DOORBELL_RELEASE, address); }
NomStatus BoardFunction::Acquire(uint64_t address) { return Ask(NOM_PC_DOORBELL_ACQUIRE, address); }
uint64_t BoardFunction::window_frames() {
  return registers_[NOM_PC_DOORBELL_WINDOW / sizeof(uint64_t)];
}

}  // namespace nom::guestd
