// SPDX-License-Identifier: Apache-2.0
// Making a database beside its place, and putting it there when it is whole: a crash leaves no half
// of one.

#ifndef MARKETD_LEDGER_SQLITE_NEW_FILE_H_
#define MARKETD_LEDGER_SQLITE_NEW_FILE_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "marketd/ledger/sqlite/database.h"

namespace nom::market {

// What errno says of that path.
absl::Status SystemError(const std::string& path);

// `fill` makes the tables; application_id and version tell later what the file is. Takes the place
// of what is at `path`, which must be nothing, or empty.
absl::Status MakeDatabase(const std::string& path, int32_t application_id, int32_t version,
                          const std::function<absl::Status(Database&)>& fill);

// Kept in the file for ever, which changes it by way of a journal: only where nobody has it yet.
absl::Status KeepLog(Database& db);

}  // namespace nom::market

#endif  // MARKETD_LEDGER_SQLITE_NEW_FILE_H_
