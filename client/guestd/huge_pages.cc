// SPDX-License-Identifier: Apache-2.0
#include "client/guestd/huge_pages.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace nom::guestd {
namespace {

constexpr char kOvercommit[] = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages";
constexpr char kCompact[] = "/proc/sys/vm/compact_memory";
constexpr int kPopulateRead =
    22;  // MADV_POPULATE_READ of Linux 5.14, younger than our headers may be.

absl::Status Failed(const std::string& what) {
  return absl::FailedPreconditionError(absl::StrCat(what, ": ", std::strerror(errno)));
}

bool WriteNumber(const char* path, uint64_t number) {
  const std::string text = absl::StrCat(number);
  const int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool written = write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(file);
  return written;
}

off_t PieceAt(size_t index) { return static_cast<off_t>(index * kPieceBytes); }

}  // namespace

absl::StatusOr<std::unique_ptr<HugePages>> HugePages::Open(const std::string& directory,
                                                           uint64_t most) {
  struct statfs facts {};
  if (statfs(directory.c_str(), &facts) != 0) return Failed(directory);
  if (facts.f_type != HUGETLBFS_MAGIC || std::cmp_not_equal(facts.f_bsize, kPieceBytes)) {
    return absl::FailedPreconditionError(
        absl::StrCat(directory,
                     " is no hugetlbfs of 2 MiB pages: mount -t hugetlbfs -o "
                     "pagesize=2M none ",
                     directory));
  }
  if (!WriteNumber(kOvercommit, most)) return Failed(kOvercommit);
  const int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (pagemap < 0) return Failed("/proc/self/pagemap");
  const std::string path = absl::StrCat(directory, "/nomguestd");
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  struct stat size {};
  if (file < 0 || fstat(file, &size) != 0) {
    absl::Status failed = Failed(path);
    close(pagemap);
    if (file >= 0) close(file);
    return failed;
  }
  return std::unique_ptr<HugePages>(
      new HugePages(file, pagemap, static_cast<uint64_t>(size.st_size) / kPieceBytes));
}

HugePages::~HugePages() {
  close(file_);
  close(pagemap_);
}

absl::Status HugePages::Push() {
  if (fallocate(file_, 0, PieceAt(count_), PieceAt(1)) != 0) {
    const int why = errno;
    // Half of one would be in the way of the next try.
    static_cast<void>(ftruncate(file_, PieceAt(count_)));
    if (why == ENOSPC || why == ENOMEM || why == EINTR) {
      // What is free may lie in pieces too small: the kernel is asked to move what it can.
      static_cast<void>(WriteNumber(kCompact, 1));
      return absl::ResourceExhaustedError("the kernel has no huge page");
    }
    errno = why;
    return Failed("a huge page");
  }
  ++count_;
  return absl::OkStatus();
}

absl::Status HugePages::Pop() {
  if (ftruncate(file_, PieceAt(count_ - 1)) != 0) return Failed("the end of a huge page");
  --count_;
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> HugePages::Address(size_t index) {
  void* const at =
      mmap(nullptr, kPieceBytes, PROT_READ, MAP_SHARED | MAP_NORESERVE, file_, PieceAt(index));
  if (at == MAP_FAILED) return Failed("the mapping of a huge page");
  // Mapped without a look at it: behind it may be no frame. pagemap: bits 0 to 54 are the frame's
  // number, 0 for who may not know it; bit 63: it is present.
  uint64_t entry = 0;
  const off_t entry_at = static_cast<off_t>(reinterpret_cast<uintptr_t>(at) / NOM_FRAME_BYTES * 8);
  const bool read = madvise(at, kPieceBytes, kPopulateRead) == 0 &&
                    pread(pagemap_, &entry, sizeof(entry), entry_at) == sizeof(entry);
  const absl::Status failed = read ? absl::OkStatus() : Failed("the place of a huge page");
  munmap(at, kPieceBytes);
  if (!read) return failed;
  const uint64_t address = (entry & ((uint64_t{1} << 55) - 1)) * NOM_FRAME_BYTES;
  if (entry >> 63 == 0 || address == 0 || address % kPieceBytes != 0) {
    return absl::FailedPreconditionError("/proc/self/pagemap does not say where a huge page lies");
  }
  return address;
}

}  // namespace nom::guestd
