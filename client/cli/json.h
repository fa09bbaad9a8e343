// Messages as JSON, in the one style that all of nomctl's --json has: names as in the .proto and in
// case files (snake_case), whole numbers as numbers, enums as the lower-case words that tables
// show, times in RFC 3339. Every field is there, also those that are zero; those that are not set
// (`optional` ones, messages) are left out.

#ifndef CLIENT_CLI_JSON_H_
#define CLIENT_CLI_JSON_H_

#include <string>

#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace nom::cli {

// `one_line`: without line breaks. Never ends with one.
std::string ToJson(const google::protobuf::Message& message, bool one_line);

// A JSON string in its quotes.
std::string JsonText(absl::string_view text);

}  // namespace nom::cli

#endif  // CLIENT_CLI_JSON_H_
