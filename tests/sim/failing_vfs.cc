// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/failing_vfs.h"

#include <sqlite3.h>

#include <algorithm>
#include <mutex>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"

namespace nom::market {
namespace {

struct Book {
  std::mutex mutex;
  DiskFault fault;
  int64_t counted = 0;
  int64_t failed = 0;
  std::string first_failed;
};

Book& TheBook() {
  static Book book;
  return book;
}

sqlite3_vfs* Real() {
  static sqlite3_vfs* const real = sqlite3_vfs_find(nullptr);  // Before ours is put in place.
  return real;
}

// SQLITE_OK: go on.
int Ask(DiskOp op, const char* name, int io_error) {
  Book& book = TheBook();
  std::lock_guard lock(book.mutex);
  const DiskFault& fault = book.fault;
  if ((fault.ops & OpBit(op)) == 0) return SQLITE_OK;
  if (!absl::StrContains(name == nullptr ? "" : name, fault.only)) return SQLITE_OK;
  ++book.counted;
  if (fault.nth == 0 || book.counted < fault.nth) return SQLITE_OK;
  if (book.counted > fault.nth && !fault.for_good) return SQLITE_OK;
  // A full disk refuses what needs room; it goes on reading, deleting and making files shorter.
  const bool needs_room = op == DiskOp::kWrite || op == DiskOp::kSync || op == DiskOp::kShm;
  if (fault.is_full && !needs_room) return SQLITE_OK;
  ++book.failed;
  if (book.first_failed.empty()) {
    book.first_failed = absl::StrCat(DiskOpName(op), " ", name == nullptr ? "?" : name);
  }
  return fault.is_full && op == DiskOp::kWrite ? SQLITE_FULL : io_error;
}

struct File {
  sqlite3_file base;
  const char* name;
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};
File* Of(sqlite3_file* file) { return reinterpret_cast<File*>(file); }
sqlite3_file* RealOf(sqlite3_file* file) { return Of(file)->real(); }

int Close(sqlite3_file* f) { return RealOf(f)->pMethods->xClose(RealOf(f)); }
int Read(sqlite3_file* f, void* to, int bytes, sqlite3_int64 at) {
  const int asked = Ask(DiskOp::kRead, Of(f)->name, SQLITE_IOERR_READ);
  return asked != SQLITE_OK ? asked : RealOf(f)->pMethods->xRead(RealOf(f), to, bytes, at);
}
int Write(sqlite3_file* f, const void* from, int bytes, sqlite3_int64 at) {
  const int asked = Ask(DiskOp::kWrite, Of(f)->name, SQLITE_IOERR_WRITE);
  if (asked == SQLITE_OK) return RealOf(f)->pMethods->xWrite(RealOf(f), from, bytes, at);
  // Half of it got there.
  (void)RealOf(f)->pMethods->xWrite(RealOf(f), from, bytes / 2, at);
  return asked;
}
int Truncate(sqlite3_file* f, sqlite3_int64 size) {
  const int asked = Ask(DiskOp::kTruncate, Of(f)->name, SQLITE_IOERR_TRUNCATE);
  return asked != SQLITE_OK ? asked : RealOf(f)->pMethods->xTruncate(RealOf(f), size);
}
int Sync(sqlite3_file* f, int) { return Ask(DiskOp::kSync, Of(f)->name, SQLITE_IOERR_FSYNC); }
int FileSize(sqlite3_file* f, sqlite3_int64* size) {
  return RealOf(f)->pMethods->xFileSize(RealOf(f), size);
}
int Lock(sqlite3_file* f, int kind) { return RealOf(f)->pMethods->xLock(RealOf(f), kind); }
int Unlock(sqlite3_file* f, int kind) { return RealOf(f)->pMethods->xUnlock(RealOf(f), kind); }
int CheckReservedLock(sqlite3_file* f, int* out) {
  return RealOf(f)->pMethods->xCheckReservedLock(RealOf(f), out);
}
int FileControl(sqlite3_file* f, int op, void* argument) {
  return RealOf(f)->pMethods->xFileControl(RealOf(f), op, argument);
}
int SectorSize(sqlite3_file* f) { return RealOf(f)->pMethods->xSectorSize(RealOf(f)); }
int DeviceCharacteristics(sqlite3_file* f) {
  return RealOf(f)->pMethods->xDeviceCharacteristics(RealOf(f));
}
int ShmMap(sqlite3_file* f, int region, int bytes, int extend, void volatile** out) {
  if (extend != 0) {
    const int asked = Ask(DiskOp::kShm, Of(f)->name, SQLITE_IOERR_SHMSIZE);
    if (asked != SQLITE_OK) return asked;
  }
  return RealOf(f)->pMethods->xShmMap(RealOf(f), region, bytes, extend, out);
}
int ShmLock(sqlite3_file* f, int offset, int n, int flags) {
  return RealOf(f)->pMethods->xShmLock(RealOf(f), offset, n, flags);
}
void ShmBarrier(sqlite3_file* f) { RealOf(f)->pMethods->xShmBarrier(RealOf(f)); }
int ShmUnmap(sqlite3_file* f, int remove) {
  return RealOf(f)->pMethods->xShmUnmap(RealOf(f), remove);
}

// Version 2: no mapped pages, so that every read is seen.
constexpr sqlite3_io_methods kMethods = {2,
                                         Close,
                                         Read,
                                         Write,
                                         Truncate,
                                         Sync,
                                         FileSize,
                                         Lock,
                                         Unlock,
                                         CheckReservedLock,
                                         FileControl,
                                         SectorSize,
                                         DeviceCharacteristics,
                                         ShmMap,
                                         ShmLock,
                                         ShmBarrier,
                                         ShmUnmap,
                                         nullptr,
                                         nullptr};

int Open(sqlite3_vfs*, sqlite3_filename name, sqlite3_file* f, int flags, int* out_flags) {
  f->pMethods = nullptr;
  const int asked = Ask(DiskOp::kOpen, name, SQLITE_CANTOPEN);
  if (asked != SQLITE_OK) return asked;
  File* const file = Of(f);
  file->name = name;
  const int result = Real()->xOpen(Real(), name, file->real(), flags, out_flags);
  if (result == SQLITE_OK) f->pMethods = &kMethods;
  return result;
}
int Delete(sqlite3_vfs*, const char* name, int sync) {
  const int asked = Ask(DiskOp::kDelete, name, SQLITE_IOERR_DELETE);
  return asked != SQLITE_OK ? asked : Real()->xDelete(Real(), name, sync);
}

// All else is the real one's, which is told that it is itself.
int Access(sqlite3_vfs*, const char* name, int flags, int* out) {
  return Real()->xAccess(Real(), name, flags, out);
}
int FullPathname(sqlite3_vfs*, const char* name, int bytes, char* out) {
  return Real()->xFullPathname(Real(), name, bytes, out);
}
int Randomness(sqlite3_vfs*, int bytes, char* out) {
  return Real()->xRandomness(Real(), bytes, out);
}
int Sleep(sqlite3_vfs*, int us) { return Real()->xSleep(Real(), us); }
int CurrentTime(sqlite3_vfs*, double* out) { return Real()->xCurrentTime(Real(), out); }
int GetLastError(sqlite3_vfs*, int bytes, char* out) {
  return Real()->xGetLastError(Real(), bytes, out);
}
int CurrentTimeInt64(sqlite3_vfs*, sqlite3_int64* out) {
  return Real()->xCurrentTimeInt64(Real(), out);
}

}  // namespace

const char* DiskOpName(DiskOp op) {
  switch (op) {
    case DiskOp::kWrite:
      return "write";
    case DiskOp::kSync:
      return "sync";
    case DiskOp::kTruncate:
      return "truncate";
    case DiskOp::kOpen:
      return "open";
    case DiskOp::kDelete:
      return "delete";
    case DiskOp::kShm:
      return "shm";
    case DiskOp::kRead:
      return "read";
  }
  return "?";
}

FailingDisk& FailingDisk::Get() {
  static FailingDisk disk;
  static const bool is_in_place = [] {
    static sqlite3_vfs vfs{};
    vfs.iVersion = 2;
    vfs.szOsFile = static_cast<int>(sizeof(File)) + Real()->szOsFile;
    vfs.mxPathname = Real()->mxPathname;
    vfs.zName = "nom-failing";
    vfs.xOpen = Open;
    vfs.xDelete = Delete;
    vfs.xAccess = Access;
    vfs.xFullPathname = FullPathname;
    vfs.xRandomness = Randomness;
    vfs.xSleep = Sleep;
    vfs.xCurrentTime = CurrentTime;
    vfs.xGetLastError = GetLastError;
    vfs.xCurrentTimeInt64 = CurrentTimeInt64;
    return sqlite3_vfs_register(&vfs, /*makeDflt=*/1) == SQLITE_OK;
  }();
  NOM_CHECK(is_in_place, "SQLite did not take the failing disk");
  return disk;
}

void FailingDisk::Break(const DiskFault& fault) {
  Book& book = TheBook();
  std::lock_guard lock(book.mutex);
  book.fault = fault;
  book.counted = 0;
  book.failed = 0;
  book.first_failed.clear();
}

int64_t FailingDisk::counted() const {
  Book& book = TheBook();
  std::lock_guard lock(book.mutex);
  return book.counted;
}

int64_t FailingDisk::failed() const {
  Book& book = TheBook();
  std::lock_guard lock(book.mutex);
  return book.failed;
}

std::string FailingDisk::first_failed() const {
  Book& book = TheBook();
  std::lock_guard lock(book.mutex);
  return book.first_failed;
}

}  // namespace nom::market
