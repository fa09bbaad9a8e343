// SPDX-License-Identifier: Apache-2.0
// nom-resizer: makes a program that was never written for prices live in what its guest holds.

#include <CLI/CLI.hpp>
#include <csignal>
#include <exception>
#include <iostream>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "client/agents/agent.h"
#include "client/agents/command.h"
#include "client/agents/jvm.h"
#include "client/agents/memcached.h"
#include "cmake/standard_files/standard_files.h"
#include "nom/session.h"

namespace nom::agents {
namespace {

constexpr std::chrono::milliseconds kStep{100};

volatile std::sig_atomic_t stopped = 0;

struct Arguments {
  SessionOptions session;
  AgentOptions agent;
  WorthOptions worth;
  std::string memcached_address = "127.0.0.1:11211";
  int64_t overhead_mib = 8;
  CommandOptions command;
  JvmPlace jvm;
  int64_t jvm_overhead_mib = 64;
  std::string jvm_work;
};

void AddCommon(CLI::App& app, Arguments& arguments) {
  app.add_option("--target", arguments.session.target, "The market, host:port or unix:/path")
      ->required();
  app.add_option("--token-file", arguments.session.token_file, "The tenant's token");
  app.add_option("--tls-roots", arguments.session.tls_roots_file,
                 "Certificates that the market's is checked against, PEM");
  app.add_flag("--plaintext", arguments.session.plaintext, "No TLS; to this machine only");
  app.add_option("--guest", arguments.agent.guest_id,
                 "The guest that the program lives in; by default the tenant's only one, or "
                 "NOM_GUEST_ID")
      ->envname("NOM_GUEST_ID");
  CLI::Option* const most =
      app.add_option("--units-max", arguments.worth.units_max,
                     "The most units of memory to bid for; without it nothing is bid");
  app.add_option("--value-per-1000", arguments.worth.value_per_1000_microcredits,
                 "Micro-credits that a thousand pieces of work (hits) are worth")
      ->needs(most);
  app.add_option("--max-price", arguments.worth.unit_price_max_microcredits,
                 "Never bid more for a unit, micro-credits a round")
      ->needs(most);
  app.add_option("--steps", arguments.worth.steps, "How many sizes are told apart")->needs(most);
  app.add_option_function<double>(
         "--settle",
         [&arguments](double seconds) { arguments.worth.settle = absl::Seconds(seconds); },
         "Seconds until more memory shows what it does, 15 by default: a cache has to fill")
      ->needs(most);
}

int Run(Arguments arguments, Program& program) {
  if (arguments.agent.guest_id != 0) {
    arguments.session.guest_ids = {arguments.agent.guest_id};
  }
  if (arguments.worth.units_max > 0) arguments.agent.worth = arguments.worth;
  arguments.agent.say = [](const std::string& what) {
    std::cout << absl::StrCat("nom-resizer: ", what, "\n") << std::flush;
  };
  absl::StatusOr<std::unique_ptr<Session>> session = Session::Connect(arguments.session);
  if (!session.ok()) {
    std::cerr << "nom-resizer: " << session.status().message() << "\n";
    return 1;
  }
  const auto agent = Agent::Create(**session, program, arguments.agent);
  if (!agent.ok()) {
    std::cerr << "nom-resizer: " << agent.status().message() << "\n";
    return 2;
  }
  for (; stopped == 0; std::this_thread::sleep_for(kStep)) (*agent)->Step(absl::Now());
  // What was bid lapses by itself after some rounds: the program may be started again at once.
  (*session)->OnNotice(nullptr);
  return (*session)->Close().ok() ? 0 : 1;
}

int Main(int argc, char** argv) {
  CLI::App app(
      "Makes a program that was never written for prices live in what its guest holds: gives "
      "memory back when\na notice says so, takes more when it is there, and bids what the "
      "program's work is worth, learnt while it runs.\n\n"
      "Examples:\n"
      "  nom-resizer memcached --target 127.0.0.1:7070 --plaintext --token-file cache.token \\\n"
      "    --units-max 512 --value-per-1000 40 --max-price 2000\n"
      "  nom-resizer command --target 127.0.0.1:7070 --plaintext --token-file db.token \\\n"
      "    --resize 'echo $NOM_BYTES >/run/db.limit; kill -HUP $(cat /run/db.pid)'\n"
      "  nom-resizer jvm --target 127.0.0.1:7070 --plaintext --token-file app.token \\\n"
      "    --pid-file /run/app.pid --overhead 96");
  app.name("nom-resizer");
  app.footer(
      "Exit codes: 0 ended by SIGTERM or SIGINT, 1 failure, 2 bad usage. It may be started again "
      "at any time: the program\nstays as it is, and so does its guest.");
  app.require_subcommand(1);
  Arguments arguments;
  CLI::App* const memcached =
      app.add_subcommand("memcached", "memcached, by its text protocol; work is get_hits");
  AddCommon(*memcached, arguments);
  memcached->add_option("--memcached", arguments.memcached_address, "ADDRESS:PORT, or a path");
  memcached->add_option("--overhead", arguments.overhead_mib,
                        "MiB that the process uses beside its cache");
  CLI::App* const command = app.add_subcommand(
      "command", "Any program, by commands of yours; also those that follow by themselves");
  AddCommon(*command, arguments);
  command->add_option("--resize", arguments.command.resize,
                      "Run by sh with NOM_BYTES; empty: the program follows by itself, as page "
                      "cache does");
  command->add_option("--work", arguments.command.work,
                      "Prints two numbers that count up: what was done and what was offered");
  CLI::App* const jvm = app.add_subcommand(
      "jvm", "A Java virtual machine (HotSpot), by what jcmd uses; as its user, or as root");
  AddCommon(*jvm, arguments);
  CLI::Option_group* const which = jvm->add_option_group("process");
  which->add_option("--pid", arguments.jvm.pid, "The machine's process")
      ->check(CLI::PositiveNumber);
  which->add_option("--pid-file", arguments.jvm.pid_file, "A file that says which it is");
  which->require_option(1);
  jvm->add_option("--overhead", arguments.jvm_overhead_mib,
                  "MiB that the process uses beside its heap");
  jvm->add_option("--work", arguments.jvm_work,
                  "Prints two numbers that count up: what was done and what was offered");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  struct sigaction stop {};
  stop.sa_handler = [](int) { stopped = 1; };
  sigaction(SIGTERM, &stop, nullptr);
  sigaction(SIGINT, &stop, nullptr);
  if (memcached->parsed()) {
    Memcached program(ConnectMemcached(arguments.memcached_address),
                      {.overhead_bytes = arguments.overhead_mib << 20});
    return Run(arguments, program);
  }
  if (jvm->parsed()) {
    Jvm program(AttachJvm(arguments.jvm),
                {.overhead_bytes = arguments.jvm_overhead_mib << 20, .work = arguments.jvm_work});
    return Run(arguments, program);
  }
  Command program(arguments.command);
  return Run(arguments, program);
}

}  // namespace
}  // namespace nom::agents

int main(int argc, char** argv) {
  nom::TakeStandardFiles();
  try {
    return nom::agents::Main(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "nom-resizer: " << error.what() << "\n";
    return 1;
  }
}
