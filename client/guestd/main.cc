// SPDX-License-Identifier: Apache-2.0
// nomguestd: makes the memory of a Linux guest of nomhv follow its grant.

#include <sys/mman.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <exception>
#include <iostream>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "client/guestd/balloon.h"
#include "client/guestd/board_function.h"
#include "client/guestd/huge_pages.h"
#include "cmake/standard_files/standard_files.h"

namespace nom::guestd {
namespace {

volatile std::sig_atomic_t stopped = 0;

int Fail(const absl::Status& why) {
  std::cerr << "nomguestd: " << why.message() << "\n";
  return 1;
}

void Say(const std::string& what) { std::cout << "nomguestd: " << what << "\n" << std::flush; }

int Run(const std::string& devices, const std::string& directory, int interval_ms) {
  const auto function = BoardFunction::Open(devices);
  if (!function.ok()) return Fail(function.status());
  const auto pages = HugePages::Open(directory, (*function)->window_frames() / kPieceFrames);
  if (!pages.ok()) return Fail(pages.status());
  Balloon balloon(**pages, **function);
  if (const absl::Status begun = balloon.Begin(); !begun.ok()) return Fail(begun);
  // It must not wait for memory while it makes room.
  static_cast<void>(mlockall(MCL_CURRENT | MCL_FUTURE));
  size_t told = (*pages)->count();
  Say(absl::StrCat("follows; ", told, " pieces of 2 MiB are the machine's"));
  bool stuck = false;
  while (stopped == 0) {
    NomGuestBoard board;
    auto step = absl::StatusOr<Balloon::Step>(Balloon::Step::kFollowed);
    if ((*function)->Read(&board)) step = balloon.Follow(board);
    if (!step.ok()) return Fail(step.status());
    if (*step == Balloon::Step::kMoved) continue;
    if (told != (*pages)->count()) {
      told = (*pages)->count();
      Say(absl::StrCat(told, " pieces of 2 MiB are the machine's, ", balloon.Wanted(board),
                       " wanted"));
    }
    if (*step == Balloon::Step::kStuck && !stuck) Say("waits for memory that can be moved");
    stuck = *step == Balloon::Step::kStuck;
    std::this_thread::sleep_for(std::chrono::milliseconds(interval_ms));
  }
  return 0;
}

int Main(int argc, char** argv) {
  CLI::App app(
      "Makes the memory of a Linux guest of nomhv follow its grant: what the kernel can spare goes "
      "back to the machine\nwhen a smaller grant is announced, and comes again with a larger one. "
      "What is kept beyond the deadline ends the\nguest.\n\n"
      "Example:\n"
      "  nomguestd --huge-pages /dev/hugepages");
  app.name("nomguestd");
  app.footer(
      "Exit codes: 0 ended by SIGTERM or SIGINT, 1 failure, 2 bad usage. What it gave back stays "
      "so when it ends; it goes on\nfrom there when it is started again.");
  std::string devices = "/sys/bus/pci/devices";
  std::string directory = "/dev/hugepages";
  int interval_ms = 100;
  app.add_option("--devices", devices, "Where PCI functions are found")->capture_default_str();
  app.add_option("--huge-pages", directory, "A hugetlbfs of 2 MiB pages")->capture_default_str();
  app.add_option("--interval-ms", interval_ms, "How often the board is looked at, 1 to 10000")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  struct sigaction stop {};
  stop.sa_handler = [](int) { stopped = 1; };
  sigaction(SIGTERM, &stop, nullptr);
  sigaction(SIGINT, &stop, nullptr);
  return Run(devices, directory, interval_ms);
}

}  // namespace
}  // namespace nom::guestd

int main(int argc, char** argv) {
  nom::TakeStandardFiles();
  try {
    return nom::guestd::Main(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "nomguestd: " << error.what() << "\n";
    return 1;
  }
}
