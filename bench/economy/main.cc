// SPDX-License-Identifier: Apache-2.0
// The market simulator. What it shows: README.md beside this file. How to run it: --help.

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "CLI/CLI.hpp"
#include "bench/economy/report.h"

namespace {

int Run(int argc, char** argv) {
  using nom::economy::Section;
  nom::economy::ReportOptions options;
  std::vector<std::string> names;
  for (const Section& section : nom::economy::Sections()) names.emplace_back(section.name);
  std::vector<std::string> only;
  CLI::App app(
      "Simulates markets from a seed: tables on stdout, plots as SVG.\n\n"
      "Example: economy --rounds 500 --out plots --only rules\n");
  app.add_option("--seed", options.seed, "Where all chance comes from")->capture_default_str();
  app.add_option("--guests", options.guests, "Guests of the section rules")
      ->check(CLI::Range(2, nom::economy::kGuestsMax))
      ->capture_default_str();
  app.add_option("--rounds", options.rounds, "Rounds of the section rules; others take a share")
      ->check(CLI::Range(int64_t{1}, nom::economy::kRoundsMax))
      ->capture_default_str();
  app.add_option("--out", options.out, "Folder for plots; without it none are drawn");
  app.add_option("--only", only, "Sections; all without it")->check(CLI::IsMember(names));
  CLI11_PARSE(app, argc, argv);
  if (!options.out.empty()) {
    std::error_code error;
    std::filesystem::create_directories(options.out, error);
    if (error) {
      std::fprintf(stderr, "economy: %s: %s\n", options.out.c_str(), error.message().c_str());
      return 1;
    }
  }
  for (const Section& section : nom::economy::Sections()) {
    if (!only.empty() && std::find(only.begin(), only.end(), section.name) == only.end()) continue;
    const auto text = section.report(options);
    if (!text.ok()) {
      std::fprintf(stderr, "economy: %s: %s\n", section.name, text.status().ToString().c_str());
      return 1;
    }
    std::printf("\n## %s: %s\n\n%s", section.name, section.summary, text->c_str());
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return Run(argc, argv);
  } catch (const std::exception& error) {  // CLI11 throws, and memory can run out.
    std::fprintf(stderr, "economy: %s\n", error.what());
    return 1;
  }
}
