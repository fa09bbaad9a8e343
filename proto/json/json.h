// SPDX-License-Identifier: Apache-2.0
// Messages as JSON, in the one style that nomctl's --json and marketd's page have: names as in the
// .proto and in case files (snake_case), whole numbers as numbers, enums as the lower-case words
// that tables show, times in RFC 3339. Every field is there, also those that are zero; those that
// are not set
// (`optional` ones, messages) are left out.

#ifndef PROTO_JSON_JSON_H_
#define PROTO_JSON_JSON_H_

#include <string>

#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace nom {

// `one_line`: without line breaks. Never ends with one.
std::string ToJson(const google::protobuf::Message& message, bool one_line);

// A JSON string in its quotes.
std::string JsonText(absl::string_view text);

}  // namespace nom

#endif  // PROTO_JSON_JSON_H_
