// SPDX-License-Identifier: Apache-2.0
// Long texts in fewer bytes, and still texts: for any database.
//
// An auction's record names every bid of the round, in words: it is half of what a ledger keeps of
// a round, and nine tenths of it is said again and again.

#ifndef MARKETD_LEDGER_ROWS_PACKED_TEXT_H_
#define MARKETD_LEDGER_ROWS_PACKED_TEXT_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace nom::market {

// "z1:BYTES:" and the text, deflated (RFC 1950), in base64; a short text is left as it is.
std::string PackText(absl::string_view text);

// PackText's inverse; what was never packed comes back as it is. DATA_LOSS if it was damaged.
absl::StatusOr<std::string> UnpackText(absl::string_view packed);

}  // namespace nom::market

#endif  // MARKETD_LEDGER_ROWS_PACKED_TEXT_H_
