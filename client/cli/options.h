// SPDX-License-Identifier: Apache-2.0
// Options whose values are numbers, read by client/cli/numbers.h and by nothing else.

#ifndef CLIENT_CLI_OPTIONS_H_
#define CLIENT_CLI_OPTIONS_H_

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "client/cli/numbers.h"

namespace nom::cli {

inline constexpr int64_t kWholeMax = std::numeric_limits<int64_t>::max();

// What CLI11 reports as a wrong command line (exit code 2), with the option's name in front.
template <typename Value>
Value OrUsage(const std::string& name, const absl::StatusOr<Value>& value) {
  if (!value.ok()) throw CLI::ValidationError(name, std::string(value.status().message()));
  return *value;
}

// Adds an option for a whole number from `min` to `max`, which default to what `value` can hold.
// `value` must outlive the parsing, as with CLI11's own options.
template <typename Whole>
CLI::Option* AddWhole(CLI::App* app, const std::string& name, Whole& value,
                      const std::string& description, int64_t min, int64_t max) {
  return app
      ->add_option_function<std::string>(
          name,
          [&value, name, min, max](const std::string& text) {
            value = static_cast<Whole>(OrUsage(name, ParseWhole(text, min, max)));
          },
          description)
      ->type_name("NUMBER");
}

// Likewise for money: micro-credits, or credits as "1.5cr".
template <typename Whole>
CLI::Option* AddMoney(CLI::App* app, const std::string& name, Whole& microcredits,
                      const std::string& description, int64_t min, int64_t max = kWholeMax) {
  return app
      ->add_option_function<std::string>(
          name,
          [&microcredits, name, min, max](const std::string& text) {
            microcredits = OrUsage(name, ParseMoney(text, min, max));
          },
          description)
      ->type_name("MONEY");
}

// An option that may be given again and again, with one value each time. CLI11's own lists go on to
// whatever words follow, and swallow the "--" after them.
inline CLI::Option* AddRepeated(CLI::App* app, const std::string& name,
                                std::vector<std::string>& values, const std::string& description) {
  return app->add_option(name, values, description)
      ->expected(1)
      ->allow_extra_args(false)
      ->take_all();
}

inline CLI::Option* AddHost(CLI::App* app, std::string& host) {
  return app->add_option("--host", host, "The host; by default the only one");
}

// For what changes something: the id of a first try that may have been carried out.
inline CLI::Option* AddRequestId(CLI::App* app, std::string& request_id) {
  return app
      ->add_option("--request-id", request_id,
                   "The id of an earlier try of the same: it is done once, however often asked")
      ->type_name("ID");
}

}  // namespace nom::cli

#endif  // CLIENT_CLI_OPTIONS_H_
