// SPDX-License-Identifier: Apache-2.0
// What the answers for one resource and for several have in common. Inside what_if*.cc only.

#ifndef CLIENT_CLI_WHAT_IF_PARTS_H_
#define CLIENT_CLI_WHAT_IF_PARTS_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/cli/what_if.h"

namespace nom::cli {

// Of the times that `run` takes: a few of them, until it says false. Wall time.
absl::Duration MedianTime(const std::function<bool()>& run);

// A rule's error with the name of the text and, where it begins with a field of it, the line.
// `prefix`: where the text has the auction, "auction." or "".
absl::Status WithLine(const std::string& name, const std::string& text, const std::string& prefix,
                      const absl::Status& status);

const char* BoundByWord(policies::BoundBy bound_by);
// ", as expected"; empty for kNone.
const char* VerdictText(Verdict verdict);
// "the best there is", or how far from it.
std::string GapText(policies::Microcredits welfare, policies::Microcredits bound);
// An object for an answer, not yet closed: by which rule, in which time, as expected or not, and
// the error if there is one.
std::string JsonOfAnswer(absl::string_view rule, absl::Duration took, Verdict verdict,
                         const absl::Status& status);

}  // namespace nom::cli

#endif  // CLIENT_CLI_WHAT_IF_PARTS_H_
