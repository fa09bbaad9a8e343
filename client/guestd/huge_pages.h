// SPDX-License-Identifier: Apache-2.0
// Pieces of memory that Linux does not use: huge pages of a file on a hugetlbfs. The kernel neither
// moves nor reclaims them, and the file keeps them when the process ends. Linux
// Documentation/admin-guide/mm/hugetlbpage.rst and pagemap.rst.

#ifndef CLIENT_GUESTD_HUGE_PAGES_H_
#define CLIENT_GUESTD_HUGE_PAGES_H_

#include <memory>
#include <string>

#include "client/guestd/balloon.h"

namespace nom::guestd {

// One thread.
class HugePages final : public Pieces {
 public:
  // In `directory`, a hugetlbfs of 2 MiB pages; of at most `most` pieces, for which the kernel is
  // allowed as many huge pages. Needs root's rights. FAILED_PRECONDITION: what is missing.
  static absl::StatusOr<std::unique_ptr<HugePages>> Open(const std::string& directory,
                                                         uint64_t most);
  ~HugePages() override;

  [[nodiscard]] size_t count() const override { return count_; }
  absl::Status Push() override;
  absl::Status Pop() override;
  absl::StatusOr<uint64_t> Address(size_t index) override;

 private:
  HugePages(int file, int pagemap, size_t count) : file_(file), pagemap_(pagemap), count_(count) {}

  const int file_;
  const int pagemap_;
  size_t count_;
};

}  // namespace nom::guestd

#endif  // CLIENT_GUESTD_HUGE_PAGES_H_
