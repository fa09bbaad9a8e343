// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/linux/board_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "marketd/host/board_prices.h"
#include "nomhv/abi/market_id.h"

namespace nom::market {
namespace {

uint64_t NsAfter(int64_t now_us, absl::Duration d) {
  const int64_t us = std::max<int64_t>(0, absl::ToInt64Microseconds(d));
  return (static_cast<uint64_t>(now_us) + static_cast<uint64_t>(us)) * 1000;
}

// Puts `next` in the place of `board` under its sequence, which stays odd for as long as it takes.
// A sequence that was left odd by a marketd killed in mid-write becomes even again.
template <typename Board>
void Replace(Board* board, Board next) {
  std::atomic_ref<uint32_t> sequence(board->sequence);
  const uint32_t odd = sequence.load(std::memory_order_relaxed) | 1;
  sequence.store(odd, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  next.sequence = odd;
  std::memcpy(static_cast<void*>(board), &next, sizeof(Board));
  sequence.store(odd + 1, std::memory_order_release);
}

const Holding* Find(const std::vector<Holding>& holdings, ResourceKind kind) {
  const auto it = std::find_if(holdings.begin(), holdings.end(),
                               [kind](const Holding& h) { return h.kind == kind; });
  return it == holdings.end() ? nullptr : &*it;
}

}  // namespace

absl::StatusOr<std::unique_ptr<BoardFile>> BoardFile::Open(const std::string& path,
                                                           GuestId guest_id) {
  const auto failed = [&path] {
    return absl::UnavailableError(absl::StrCat("board ", path, ": ", std::strerror(errno)));
  };
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd < 0) return failed();
  struct stat facts {};
  // The umask is not to keep the guest from reading, and the file never becomes shorter: a reader
  // that has it mapped would be killed.
  if (fchmod(fd, 0644) != 0 || fstat(fd, &facts) != 0 ||
      (facts.st_size < static_cast<off_t>(kBoardFileBytes) &&
       ftruncate(fd, static_cast<off_t>(kBoardFileBytes)) != 0)) {
    const absl::Status status = failed();
    close(fd);
    return status;
  }
  void* const pages = mmap(nullptr, kBoardFileBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  const absl::Status mapped = pages == MAP_FAILED ? failed() : absl::OkStatus();
  close(fd);
  if (!mapped.ok()) return mapped;
  std::unique_ptr<BoardFile> board(new BoardFile(pages));
  if (board->guest()->magic != NOM_GUEST_BOARD_MAGIC || board->guest()->guest_id != guest_id) {
    NomGuestBoard fresh{};
    fresh.magic = NOM_GUEST_BOARD_MAGIC;
    fresh.abi_version = NOM_ABI_VERSION;
    fresh.guest_id = guest_id;
    Replace(board->guest(), fresh);
  }
  return board;
}

BoardFile::~BoardFile() { munmap(pages_, kBoardFileBytes); }

void BoardFile::WriteMachine(const BoardContents& contents, int64_t now_us) {
  NomMachineBoard next{};
  next.magic = NOM_MACHINE_BOARD_MAGIC;
  next.abi_version = NOM_ABI_VERSION;
  next.round_id = contents.round_id;
  next.priced_round_id = contents.priced_round_id;
  next.tsc_hz = kBoardFileHz;
  next.updated_tsc = NsAfter(now_us, absl::ZeroDuration());
  next.valid_until_tsc = NsAfter(now_us, contents.valid_for);
  next.close_tsc = NsAfter(now_us, contents.close_in);
  next.effective_tsc = NsAfter(now_us, contents.effective_in);
  next.period_us =
      static_cast<uint64_t>(std::max<int64_t>(0, absl::ToInt64Microseconds(contents.period)));
  next.head = ToNomHead(contents.head);
  if (!contents.ledger_id.empty()) {
    next.market_id = MarketId(contents.ledger_id, contents.host_id);
  }
  PutPrices(contents.prices, next);
  Replace(machine(), next);
}

void BoardFile::WriteGuest(const GuestGrant& grant, RoundId round_id, int64_t deadline_us) {
  NomGuestBoard next{};
  next.magic = NOM_GUEST_BOARD_MAGIC;
  next.abi_version = NOM_ABI_VERSION;
  next.guest_id = grant.guest_id;
  const NomGuestBoard& before = *guest();
  next.notice_sequence = before.notice_sequence;
  next.notice_round_id = before.notice_round_id;
  if (deadline_us > 0) {
    ++next.notice_sequence;
    next.notice_round_id = round_id;
    next.deadline_tsc = static_cast<uint64_t>(deadline_us) * 1000;
  }
  next.balance_microcredits = grant.balance_microcredits;
  next.spent_microcredits = grant.spent_microcredits;
  for (const Holding& now : grant.now) {
    if (next.resource_count == NOM_RESOURCES_MAX) break;
    const Holding* then = Find(grant.next, now.kind);
    if (then == nullptr) then = &now;
    NomHolding& holding = next.holdings[next.resource_count++];
    holding.kind = static_cast<uint32_t>(now.kind);
    holding.seed_units = now.seed_units;
    holding.units = now.units();
    holding.next_units = then->units();
    holding.charge_microcredits = now.charge_microcredits;
    holding.next_charge_microcredits = then->charge_microcredits;
  }
  Replace(guest(), next);
}

}  // namespace nom::market
