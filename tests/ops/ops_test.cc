// SPDX-License-Identifier: Apache-2.0
// What operators touch: a real scrape, the alert rules, the unit file.
//
// What Prometheus' and systemd's own tools say counts; a machine without them skips visibly.

#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <regex>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "marketd/metrics/table.h"
#include "tests/net/http_get.h"
#include "tests/net/sockets.h"
#include "tests/service/market_fixture.h"
#include "tests/service/raw_call.h"

namespace nom::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kPromtool[] = "/usr/bin/promtool";
constexpr char kSystemdAnalyze[] = "/usr/bin/systemd-analyze";

std::set<std::string> TableNames() {
  std::set<std::string> names;
  for (const marketd::MetricRow& row : marketd::MetricTable()) {
    names.insert(row.name);
    if (row.type != marketd::MetricType::kHistogram) continue;
    for (const char* suffix : {"_bucket", "_sum", "_count"}) {
      names.insert(absl::StrCat(row.name, suffix));
    }
  }
  return names;
}

// Memory is sold by contract, and the market bids for a tier, so that all there is to scrape is
// there.
class ScrapeTest : public MarketTest {
 protected:
  std::string Config() override {
    return absl::StrReplaceAll(
        MarketTest::Config(),
        {{"reserve_unit_price_microcredits: 10",
          "reserve_unit_price_microcredits: 10\n        forward: {share_percent: 50}"},
         {"    guests_bid: false",
          "    guests_bid: false\n    tiers: [{name: gold, price_percent: 100, floor: {memory: 1, "
          "cpu: "
          "1}, floor_every_rounds: 9}]"}});
  }
};

TEST_F(ScrapeTest, WhoAsksSlowlyHoldsUpNobody) {
  std::vector<Socket> slow;
  for (int i = 0; i < 224; ++i) {
    slow.push_back(ConnectTo(marketd_->metrics_address()));
    const std::string half = i % 2 == 0 ? "GET /metr" : "GET /metrics HTTP/1.1\r\nHost: h\r\n";
    ASSERT_EQ(::send(slow.back().fd(), half.data(), half.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(half.size()));
  }
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THAT(HttpGet(marketd_->metrics_address(), "/metrics"), HasSubstr("nom_market_watchers"));
  // Not a speed: the slow ones are ended after five seconds, and were not waited for.
  EXPECT_FALSE(EndedByPeer(slow[0], 0) &&
               std::chrono::steady_clock::now() - begin > std::chrono::seconds(30));
  EXPECT_TRUE(EndedByPeer(slow[0], 60'000)) << "they do not stay for ever";
}

TEST_F(ScrapeTest, HeadIsAnsweredAndNothingElseIsThere) {
  const std::string& address = marketd_->metrics_address();
  const HttpAnswer head = Http("HEAD", address, "/metrics");
  EXPECT_EQ(head.code, 200);
  EXPECT_EQ(head.body, "");
  EXPECT_THAT(head.head, HasSubstr("text/plain; version=0.0.4"));
  EXPECT_EQ(Http("GET", address, "/").code, 404);
  EXPECT_EQ(Http("DELETE", address, "/metrics").code, 405);
}

class Ipv6ScrapeTest : public ScrapeTest {
 protected:
  std::string Config() override {
    return absl::StrReplaceAll(SampleConfig(dir_),
                               {{"metrics_listen: 127.0.0.1:0", "metrics_listen: '[::1]:0'"}});
  }
  void SetUp() override {
    const int fd = ::socket(AF_INET6, SOCK_STREAM, 0);
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_loopback;
    const bool there = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::close(fd);
    if (!there) GTEST_SKIP() << "this machine has no IPv6";
    ScrapeTest::SetUp();
  }
};

TEST_F(Ipv6ScrapeTest, IsServed) {
  EXPECT_THAT(HttpGet(marketd_->metrics_address(), "/metrics"), HasSubstr("process_open_fds"));
}

TEST_F(ScrapeTest, ARealScrapeIsRightAndComplete) {
  ASSERT_THAT(
      PlaceBid(*alice_, BidRequest(alices_guest_, market_pb::RESOURCE_KIND_MEMORY, 2, 50, "b")),
      Succeeds());
  // A round decided and settled, so that there are prices.
  const auto context = alice_->Context();
  const auto reader = alice_->market->Watch(context.get(), market_pb::WatchRequest());
  market_pb::WatchResponse response;
  ASSERT_TRUE(ReadUntil(*reader, &response, [](const market_pb::WatchResponse& r) {
    return r.state().priced_round_id() > 0;
  }));
  // Names of methods that nobody serves are the caller's, and must not become series.
  RawUnaryCall(alice_->channel, "/nom.market.v1.MarketService/MadeUp", "", nullptr);
  RawUnaryCall(alice_->channel, "/made.Up/Name", "", nullptr);

  const std::string text = HttpGet(marketd_->metrics_address(), "/metrics");
  ASSERT_THAT(text, Not(IsEmpty()));
  EXPECT_THAT(text,
              HasSubstr("nom_market_unit_price_credits{host=\"sim\",resource=\"memory\"} 1e-05"));
  EXPECT_THAT(text, HasSubstr("nom_market_watchers 1\n"));
  EXPECT_THAT(text,
              HasSubstr("nom_market_forward_share_units{host=\"sim\",resource=\"memory\"} 32"));
  EXPECT_THAT(text, HasSubstr("nom_market_contracts{host=\"sim\",kind=\"future\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("nom_market_contracts_ended_total{reason=\"unpaid\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("nom_market_tier_guests{host=\"sim\",tier=\"gold\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("nom_market_guests{host=\"sim\",state=\"running\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("grpc_method=\"nom.market.v1.MarketService/PlaceBid\",grpc_status="
                              "\"OK\""));
  EXPECT_THAT(text, HasSubstr("nom_market_host_command_duration_seconds_count{command=\"attach\","
                              "host=\"sim\"} 1\n"));
  EXPECT_THAT(text, Not(HasSubstr("nom_market_watch_publish_duration_seconds_count 0\n")))
      << "a watcher was told";
  for (const char* const piece : {"MadeUp", "made.Up"}) {
    EXPECT_EQ(text.find(piece), std::string::npos) << piece;
  }
  for (const char* const piece : {"alice", "bob", "cache", "batch"}) {
    EXPECT_EQ(text.find(piece), std::string::npos) << "a label holds a tenant or a guest";
  }
  std::set<std::string> shown;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (line.empty() || line[0] == '#') continue;
    shown.insert(std::string(line.substr(0, line.find_first_of("{ "))));
  }
  const std::set<std::string> table = TableNames();
  for (const std::string& name : shown) {
    // prometheus-cpp's own.
    if (absl::StartsWith(name, "exposer_")) continue;
    EXPECT_EQ(table.count(name), 1u) << name << " is not in the table";
  }
  for (const marketd::MetricRow& row : marketd::MetricTable()) {
    const std::string name =
        row.type == marketd::MetricType::kHistogram ? absl::StrCat(row.name, "_count") : row.name;
    EXPECT_EQ(shown.count(name), 1u) << name << " was not scraped";
  }
  context->TryCancel();

  if (::access(kPromtool, X_OK) != 0) GTEST_SKIP() << "no promtool: the scrape is not linted";
  const std::string file = dir_.Write("scrape", text);
  const Exit exit = RunToEnd({"/bin/sh", "-c", absl::StrCat(kPromtool, " check metrics < ", file)});
  EXPECT_EQ(exit.signal, 0);
  for (const absl::string_view line : absl::StrSplit(exit.out, '\n', absl::SkipEmpty())) {
    EXPECT_TRUE(absl::StartsWith(line, "exposer_")) << line;
  }
}

TEST(AlertsTest, RulesDoWhatTheySay) {
  if (::access(kPromtool, X_OK) != 0) GTEST_SKIP() << "no promtool: alert rules are not tested";
  const std::string dir = NOM_SOURCE_DIR "/deploy/prometheus";
  Exit exit = RunToEnd({kPromtool, "check", "rules", dir + "/alerts.yaml"});
  EXPECT_EQ(exit.code, 0) << exit.out;
  exit = RunToEnd({kPromtool, "test", "rules", dir + "/alerts_test.yaml"});
  EXPECT_EQ(exit.code, 0) << exit.out;
}

TEST(AlertsTest, EveryAlertIsTestedAndHasWhatPeopleNeed) {
  const std::string rules = ReadWholeFile(NOM_SOURCE_DIR "/deploy/prometheus/alerts.yaml");
  const std::string tests = ReadWholeFile(NOM_SOURCE_DIR "/deploy/prometheus/alerts_test.yaml");
  const std::vector<std::string> alerts = absl::StrSplit(rules, "- alert: ");
  ASSERT_GT(alerts.size(), 5u);
  for (size_t i = 1; i < alerts.size(); ++i) {
    const std::string name = alerts[i].substr(0, alerts[i].find('\n'));
    EXPECT_THAT(alerts[i], AllOf(HasSubstr("severity: "), HasSubstr("summary: "),
                                 HasSubstr("description: "), HasSubstr("runbook: ")))
        << name;
    EXPECT_THAT(tests, HasSubstr(absl::StrCat("alertname: ", name, "\n")));
  }
}

// Whatever looks like one of our metrics, in any text that people read or Prometheus runs.
TEST(NamesTest, EveryNameThatIsMentionedExists) {
  const std::set<std::string> table = TableNames();
  const std::regex name(R"(\b(nom_market_[a-z0-9_]+|grpc_server_[a-z0-9_]+))");
  size_t mentions = 0;
  const std::filesystem::path root = NOM_SOURCE_DIR;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root / "deploy")) {
    if (!entry.is_regular_file()) continue;
    const std::string text = ReadWholeFile(entry.path());
    for (std::sregex_iterator it(text.begin(), text.end(), name), end; it != end; ++it) {
      ++mentions;
      EXPECT_EQ(table.count(it->str()), 1u) << entry.path() << " mentions " << it->str();
    }
  }
  for (const auto& entry : std::filesystem::directory_iterator(root)) {
    if (entry.path().extension() != ".md") continue;
    const std::string text = ReadWholeFile(entry.path());
    for (std::sregex_iterator it(text.begin(), text.end(), name), end; it != end; ++it) {
      EXPECT_EQ(table.count(it->str()), 1u) << entry.path() << " mentions " << it->str();
    }
  }
  EXPECT_GT(mentions, 20u);
}

TEST(NamesTest, TheTableKeepsPrometheusRules) {
  std::set<std::string> seen;
  for (const marketd::MetricRow& row : marketd::MetricTable()) {
    EXPECT_TRUE(seen.insert(row.name).second) << row.name << " is there twice";
    EXPECT_TRUE(
        std::regex_match(row.name, std::regex("(nom_market|grpc_server|process)_[a-z0-9_]+")))
        << row.name;
    EXPECT_EQ(absl::EndsWith(row.name, "_total"), row.type == marketd::MetricType::kCounter)
        << row.name;
    if (row.type == marketd::MetricType::kHistogram) {
      EXPECT_TRUE(absl::EndsWith(row.name, "_seconds")) << row.name;
    }
    EXPECT_TRUE(absl::EndsWith(row.help, ".")) << row.name;
    for (const absl::string_view label : absl::StrSplit(row.labels, ' ', absl::SkipEmpty())) {
      EXPECT_NE(label, "guest") << row.name;
      EXPECT_NE(label, "tenant") << row.name;
    }
  }
}

TEST(UnitFileTest, SystemdTakesItAndFindsItHard) {
  if (::access(kSystemdAnalyze, X_OK) != 0) GTEST_SKIP() << "no systemd-analyze";
  // The program is not installed here: the copy runs this one.
  const TempDir dir;
  std::string unit = ReadWholeFile(NOM_SOURCE_DIR "/deploy/systemd/nom-marketd.service");
  EXPECT_THAT(unit, AllOf(HasSubstr("Type=notify"), HasSubstr("WatchdogSec="),
                          HasSubstr("/usr/bin/marketd --config /etc/nom/marketd.yaml")));
  for (size_t at = 0; (at = unit.find("/usr/bin/marketd", at)) != std::string::npos;) {
    unit.replace(at, std::string("/usr/bin/marketd").size(), NOM_MARKETD);
    at += std::string(NOM_MARKETD).size();
  }
  const std::string file = dir.Write("nom-marketd.service", unit);
  const Exit verified = RunToEnd({kSystemdAnalyze, "verify", file});
  EXPECT_EQ(verified.code, 0) << verified.out;
  EXPECT_THAT(verified.out, Not(HasSubstr("nom-marketd.service:"))) << "a line it did not like";
  // 10 is wide open; 2.0 is better than almost everything that a Debian machine runs.
  const Exit security =
      RunToEnd({kSystemdAnalyze, "security", "--offline=true", "--threshold=20", file});
  EXPECT_EQ(security.code, 0) << security.out;
}

TEST(UnitFileTest, SystemdTakesThoseOfALinuxHost) {
  if (::access(kSystemdAnalyze, X_OK) != 0) GTEST_SKIP() << "no systemd-analyze";
  const TempDir dir;
  dir.Write("nom.slice", ReadWholeFile(NOM_SOURCE_DIR "/deploy/systemd/nom.slice"));
  for (const std::string name : {"nom-holder.service", "nom-launcher.service"}) {
    // Neither program is installed here.
    const std::string file = dir.Write(
        name, absl::StrReplaceAll(
                  ReadWholeFile(NOM_SOURCE_DIR "/deploy/systemd/" + name),
                  {{"/usr/bin/nom-launcher", "/bin/true"},
                   {"/usr/lib/nom/nom-hold", NOM_SOURCE_DIR "/deploy/systemd/nom-hold"}}));
    if (name == "nom-holder.service") continue;
    const Exit verified = RunToEnd(
        {kSystemdAnalyze, "verify", dir.File("nom-holder.service"), dir.File("nom.slice"), file});
    EXPECT_EQ(verified.code, 0) << verified.out;
    EXPECT_THAT(verified.out, Not(HasSubstr("nom-"))) << "a line it did not like";
  }
}

// The service manager's end of sd_notify, a datagram socket, and a marketd that was told of it and
// of a watchdog that wants to be fed every 0.3 s.
class NotifyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fd_ = Socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    const std::string path = dir_.File("notify");
    ASSERT_LT(path.size(), sizeof(address.sun_path));
    path.copy(address.sun_path, path.size());
    ASSERT_EQ(::bind(fd_.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
    ::setenv("WATCHDOG_USEC", "300000", 1);
    ::unsetenv("WATCHDOG_PID");
    const absl::Status started = marketd_.Start();
    ::unsetenv("NOTIFY_SOCKET");
    ::unsetenv("WATCHDOG_USEC");
    ASSERT_TRUE(started.ok()) << started;
  }
  // What it says next; waits for it.
  std::string Next() const {
    char buffer[512];
    const ssize_t n = ::recv(fd_.fd(), buffer, sizeof(buffer), 0);
    return std::string(buffer, n > 0 ? static_cast<size_t>(n) : 0);
  }
  bool SaysSomethingWithin(int timeout_ms) const {
    pollfd poll{.fd = fd_.fd(), .events = POLLIN, .revents = 0};
    return ::poll(&poll, 1, timeout_ms) > 0;
  }
  void WaitForLine(const std::string& piece) const {
    while (!absl::StrContains(marketd_.Output(), piece)) ::usleep(10'000);
  }

  const TempDir dir_;
  Socket fd_;
  MarketdProcess marketd_{dir_};
};

TEST_F(NotifyTest, ReadyThenWatchdogThenStopping) {
  EXPECT_THAT(Next(), HasSubstr("READY=1"));
  // Again and again, as long as the engine lives.
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Next(), "WATCHDOG=1");
  marketd_.Signal(SIGTERM);
  std::string message = Next();
  while (message == "WATCHDOG=1") message = Next();
  EXPECT_EQ(message, "STOPPING=1");
  EXPECT_EQ(marketd_.Wait().code, 0);
}

// Its rounds go on and it takes no calls, as when it has no descriptors left: that is no life.
TEST_F(NotifyTest, AMarketThatAnswersNobodyFeedsNoWatchdog) {
  EXPECT_THAT(Next(), HasSubstr("READY=1"));
  rlimit before{};
  rlimit none{};
  ASSERT_EQ(::prlimit(marketd_.pid(), RLIMIT_NOFILE, nullptr, &before), 0);
  none.rlim_max = before.rlim_max;
  ASSERT_EQ(::prlimit(marketd_.pid(), RLIMIT_NOFILE, &none, nullptr), 0);
  WaitForLine("event=no_answer");
  while (SaysSomethingWithin(0)) Next();
  EXPECT_FALSE(SaysSomethingWithin(2'000)) << "twenty times as long as it is fed otherwise";
  ASSERT_EQ(::prlimit(marketd_.pid(), RLIMIT_NOFILE, &before, nullptr), 0);
  WaitForLine("event=answers_again");
  EXPECT_EQ(Next(), "WATCHDOG=1");
  EXPECT_THAT(CreateTenant(Client(marketd_.grpc_address()), "alice", "t", nullptr), Succeeds());
}

}  // namespace
}  // namespace nom::testing
