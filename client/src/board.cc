// SPDX-License-Identifier: Apache-2.0
#include "nom/board.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "client/guest/board.h"
#include "nomhv/abi/board.h"
#include "nomhv/abi/market_id.h"

namespace nom {
namespace {

// Page 0 is the machine's board, page 1 the guest's.
constexpr size_t kBytes = 2 * size_t{NOM_FRAME_BYTES};
// Board files have times in nanoseconds of this clock.
constexpr uint64_t kHz = 1'000'000'000;

uint64_t NowNs() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * kHz + static_cast<uint64_t>(now.tv_nsec);
}

// An instant of the board's clock by the wall clock.
absl::Time WallTime(uint64_t ns, uint64_t now_ns) {
  return absl::Now() + absl::Nanoseconds(static_cast<int64_t>(ns - now_ns));
}

BoundBy ToBoundBy(uint32_t bound_by) {
  switch (bound_by) {
    case NOM_BOUND_BY_RESERVE:
      return BoundBy::kReserve;
    case NOM_BOUND_BY_BIDS:
      return BoundBy::kBids;
    default:
      return BoundBy::kUnknown;
  }
}

bool IsResource(uint32_t kind) { return kind >= 1 && kind <= kResourceCount; }

const NomMachineBoard* Machine(const void* pages) {
  return static_cast<const NomMachineBoard*>(pages);
}
const NomGuestBoard* Guest(const void* pages) {
  return reinterpret_cast<const NomGuestBoard*>(static_cast<const std::byte*>(pages) +
                                                NOM_FRAME_BYTES);
}

bool CopyGuest(const void* pages, NomGuestBoard* copy) {
  return guest::CopyBoard(Guest(pages), copy) && copy->magic == NOM_GUEST_BOARD_MAGIC &&
         copy->abi_version >> 16 == NOM_ABI_MAJOR && copy->resource_count <= NOM_RESOURCES_MAX;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Board>> Board::Open(const std::string& where) {
  absl::string_view number = where;
  int fd = -1;
  const bool given = absl::ConsumePrefix(&number, "fd:");
  if (given) {
    if (!absl::SimpleAtoi(number, &fd) || fd < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("board \"", where, "\": expected fd:NUMBER or a path"));
    }
  } else {
    fd = open(where.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
      return absl::NotFoundError(absl::StrCat("board ", where, ": ", std::strerror(errno)));
    }
  }
  struct stat facts {};
  const bool is_board =
      fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode) && facts.st_size >= off_t{kBytes};
  void* const pages = is_board ? mmap(nullptr, kBytes, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
  if (!given) close(fd);
  if (pages == MAP_FAILED) {
    return absl::FailedPreconditionError(absl::StrCat("board ", where, ": is no board file"));
  }
  std::unique_ptr<Board> board(new Board(pages));
  NomGuestBoard copy;
  if (!CopyGuest(pages, &copy)) {
    return absl::FailedPreconditionError(
        absl::StrCat("board ", where, ": is no board, or of another ABI than ", NOM_ABI_MAJOR));
  }
  return board;
}

absl::StatusOr<std::unique_ptr<Board>> Board::FromEnvironment() {
  const char* const where = std::getenv("NOM_BOARD");
  if (where == nullptr) {
    return absl::NotFoundError("NOM_BOARD is not set: this is no guest of a Linux host");
  }
  return Open(where);
}

Board::~Board() { munmap(const_cast<void*>(pages_), kBytes); }

namespace {

Prices ToPrices(const NomMachineBoard& board, uint64_t now_ns) {
  Prices out;
  out.stale = board.tsc_hz != kHz || now_ns > board.valid_until_tsc;
  out.round_id = board.priced_round_id;
  out.valid_until = WallTime(board.valid_until_tsc, now_ns);
  for (uint32_t i = 0; i < board.resource_count; ++i) {
    const NomPrice& from = board.prices[i];
    if (!IsResource(from.kind)) continue;
    Price& price = out.by_resource[from.kind - 1];
    price.offered = true;
    price.bound_by = ToBoundBy(from.bound_by);
    price.unit_price_microcredits = from.unit_price_microcredits;
    price.reserve_unit_price_microcredits = from.reserve_unit_price_microcredits;
  }
  return out;
}

}  // namespace

Prices Board::prices() const {
  NomMachineBoard board;
  if (!guest::CopyBoard(Machine(pages_), &board) || !guest::Readable(board)) return {};
  return ToPrices(board, NowNs());
}

uint64_t Board::MarketIdOf(const std::string& ledger_id, const std::string& host_id) {
  return MarketId(ledger_id, host_id);
}

std::optional<Prices> Board::FreshPrices(uint64_t market_id) const {
  NomMachineBoard board;
  if (!guest::CopyBoard(Machine(pages_), &board) || !guest::Readable(board) ||
      board.market_id != market_id) {
    return std::nullopt;
  }
  Prices prices = ToPrices(board, NowNs());
  if (prices.stale) return std::nullopt;
  return prices;
}

Board::LedgerHead Board::ledger_head() const {
  NomMachineBoard board;
  if (!guest::CopyBoard(Machine(pages_), &board) || !guest::Readable(board) ||
      board.head.transaction_id == 0) {
    return {};
  }
  const auto* const digest = reinterpret_cast<const char*>(board.head.digest);
  return {.transaction_id = board.head.transaction_id,
          .digest = absl::BytesToHexString({digest, sizeof(board.head.digest)})};
}

uint64_t Board::guest_id() const { return Guest(pages_)->guest_id; }

std::vector<Grant> Board::grants() const {
  std::vector<Grant> out;
  NomGuestBoard board;
  if (!CopyGuest(pages_, &board)) return out;
  for (uint32_t i = 0; i < board.resource_count; ++i) {
    const NomHolding& from = board.holdings[i];
    if (!IsResource(from.kind)) continue;
    out.push_back({.resource = static_cast<Resource>(from.kind),
                   .seed_units = from.seed_units,
                   .award_units = from.units - from.seed_units,
                   .charge_microcredits = from.charge_microcredits});
  }
  return out;
}

std::vector<Notice> Board::notices() const {
  std::vector<Notice> out;
  NomGuestBoard board;
  if (!CopyGuest(pages_, &board) || board.deadline_tsc == 0) return out;
  const uint64_t now_ns = NowNs();
  for (uint32_t i = 0; i < board.resource_count; ++i) {
    const NomHolding& from = board.holdings[i];
    if (!IsResource(from.kind) || from.next_units == from.units) continue;
    out.push_back({.guest_id = board.guest_id,
                   .round_id = board.notice_round_id,
                   .resource = static_cast<Resource>(from.kind),
                   .units_now = from.units,
                   .units_next = from.next_units,
                   .effective_time = WallTime(board.deadline_tsc, now_ns),
                   .charge_microcredits = from.next_charge_microcredits});
  }
  return out;
}

}  // namespace nom
