// SPDX-License-Identifier: Apache-2.0
// The SDK inside of something that is loaded while a program runs: a plug-in, a Python module.

#include <nom/adviser.h>
#include <nom/session.h>

// 0 if the SDK works from in here.
extern "C" int StrangersPlugin() {
  const auto advice = nom::Advise({{10, 1000}, {20, 1500}}, {.unit_price_microcredits = 60});
  if (!advice.ok() || advice->best_units != 10) return 1;
  nom::SessionOptions options;
  options.target = "unix:/nowhere/nom.sock";
  options.plaintext = true;
  options.connect_timeout = absl::Milliseconds(300);
  return nom::Session::Connect(options).ok() ? 2 : 0;
}
