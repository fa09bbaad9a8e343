// SPDX-License-Identifier: Apache-2.0
#include "marketd/config/config.h"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nomhv/abi/pc.h"

namespace nom::marketd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kGood[] = R"(listen: 127.0.0.1:0
plaintext: true
ledger: /tmp/ledger
operator_token_file: /tmp/token
hosts:
  - id: sim
    kind: simulated
    period_ms: 1000
    resources:
      - kind: memory
        unit_size: 1048576
        capacity_units: 64
        rule: uniform_price/1
        reserve_unit_price_microcredits: 5
)";

std::vector<std::string> ErrorsOf(absl::string_view text) {
  const absl::StatusOr<Config> config = ParseConfig(text, "f");
  if (config.ok()) return {};
  EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument);
  return absl::StrSplit(config.status().message(), '\n');
}

// kGood with one piece of text replaced by another.
std::string With(absl::string_view from, absl::string_view to) {
  const std::string out = absl::StrReplaceAll(kGood, {{from, to}});
  EXPECT_NE(out, kGood) << from;
  return out;
}

TEST(ConfigTest, ReadsEveryKey) {
  const absl::StatusOr<Config> config = ParseConfig(kGood, "f");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->listen, "127.0.0.1:0");
  EXPECT_TRUE(config->plaintext);
  EXPECT_FALSE(config->reflection);
  ASSERT_EQ(config->hosts.size(), 1u);
  const market::HostConfig& host = config->hosts[0].market;
  EXPECT_EQ(host.host_id, "sim");
  EXPECT_EQ(host.period, absl::Seconds(1));
  EXPECT_EQ(host.grace, absl::Milliseconds(200));
  EXPECT_EQ(host.clearing, absl::Milliseconds(100));
  ASSERT_EQ(host.resources.size(), 1u);
  EXPECT_EQ(host.resources[0].kind, market::ResourceKind::kMemory);
  EXPECT_EQ(host.resources[0].unit_size, 1048576);
  EXPECT_EQ(host.resources[0].capacity_units, 64);
  EXPECT_EQ(host.resources[0].reserve_unit_price_microcredits, 5);
  EXPECT_EQ(ToMarketConfig(*config).hosts[0].host_id, "sim");
}

TEST(ConfigTest, ReadsWhatIsArchived) {
  const absl::StatusOr<Config> none = ParseConfig(kGood, "f");
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_EQ(none->retention, absl::InfiniteDuration());
  EXPECT_EQ(none->archive, "/tmp/ledger.archive");
  const absl::StatusOr<Config> some = ParseConfig(
      With("ledger: /tmp/ledger", "ledger: /tmp/ledger\nretention: 30d\narchive: /mnt/old"), "f");
  ASSERT_TRUE(some.ok()) << some.status();
  EXPECT_EQ(some->retention, absl::Hours(30 * 24));
  EXPECT_EQ(some->archive, "/mnt/old");
}

TEST(ConfigTest, ReadsReservePolicies) {
  const absl::StatusOr<Config> config =
      ParseConfig(With("reserve_unit_price_microcredits: 5",
                       "reserve_unit_price_microcredits: 5\n        reserve_policy: ar1_band/1\n"
                       "        reserve_ceiling_unit_price_microcredits: 500"),
                  "f");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->hosts[0].market.resources[0].reserve_kind, policies::ReserveKind::kAr1Band);
  EXPECT_EQ(config->hosts[0].market.resources[0].reserve_ceiling_unit_price_microcredits, 500);
  EXPECT_EQ(ParseConfig(kGood, "f")->hosts[0].market.resources[0].reserve_kind,
            policies::ReserveKind::kFixed);
  EXPECT_FALSE(ErrorsOf(With("reserve_unit_price_microcredits: 5",
                             "reserve_unit_price_microcredits: 5\n        reserve_policy: best/1"))
                   .empty());
}

TEST(ConfigTest, ReadsWhatRoundsAreFor) {
  const auto host = [](const std::string& keys, const std::string& of_resource = "") {
    return absl::StrReplaceAll(
        kGood, {{"    resources:\n", absl::StrCat(keys, "    resources:\n")},
                {"reserve_unit_price_microcredits: 5\n",
                 absl::StrCat("reserve_unit_price_microcredits: 5\n", of_resource)}});
  };
  const auto objective = [](const std::string& text) {
    const absl::StatusOr<Config> config = ParseConfig(text, "f");
    EXPECT_TRUE(config.ok()) << config.status();
    return config.ok() ? config->hosts[0].market.objective : market::Objective();
  };
  EXPECT_EQ(objective(kGood), market::Objective());
  EXPECT_EQ(objective(host("    objective: welfare/1\n")), market::Objective());
  EXPECT_EQ(objective(host("    objective: least_satisfied/1\n    objective_steepness: 3\n"
                           "    objective_look_back_rounds: 9\n")),
            (market::Objective{market::ObjectiveKind::kLeastSatisfied, 9, 3}));
  const std::string learnt =
      "        reserve_policy: learnt/1\n        reserve_look_back_rounds: 90\n"
      "        reserve_ceiling_unit_price_microcredits: 50\n";
  const absl::StatusOr<Config> revenue =
      ParseConfig(host("    objective: revenue/1\n", learnt), "f");
  ASSERT_TRUE(revenue.ok()) << revenue.status();
  EXPECT_EQ(revenue->hosts[0].market.objective.kind, market::ObjectiveKind::kRevenue);
  EXPECT_EQ(revenue->hosts[0].market.resources[0].reserve_look_back_rounds, 90);
  EXPECT_TRUE(market::ValidateConfig(ToMarketConfig(*revenue)).ok());

  const auto said = [](const std::string& text) { return absl::StrJoin(ErrorsOf(text), "\n"); };
  EXPECT_THAT(said(host("    objective: profit/1\n")), HasSubstr("hosts[0].objective"));
  EXPECT_THAT(said(host("    objective: revenue/1\n")),
              HasSubstr("hosts[0].objective: revenue/1 needs a resource whose reserve is by"));
  EXPECT_THAT(said(host("", learnt)),
              HasSubstr("hosts[0].objective: a reserve by learnt/1 is for revenue/1"));
  EXPECT_THAT(said(host("    objective_steepness: 2\n")),
              HasSubstr("objective_steepness: only for objective least_satisfied/1"));
  EXPECT_THAT(said(host("    objective_look_back_rounds: 2\n")),
              HasSubstr("objective_look_back_rounds: only for objective least_satisfied/1"));
  for (const char* bad : {"objective_steepness: 4", "objective_steepness: 0",
                          "objective_look_back_rounds: 0", "objective_look_back_rounds: 101"}) {
    EXPECT_THAT(said(host(absl::StrCat("    objective: least_satisfied/1\n    ", bad, "\n"))),
                HasSubstr("hosts[0].objective_"))
        << bad;
  }
  EXPECT_THAT(said(host("", "        reserve_look_back_rounds: 90\n")),
              HasSubstr("reserve_look_back_rounds: only for reserve_policy learnt/1"));
}

// kGood with a resource that is sold forward.
std::string WithForward(absl::string_view forward) {
  return absl::StrCat(kGood, "        forward: ", forward, "\n");
}

TEST(ConfigTest, ReadsWhatIsSoldForward) {
  const absl::StatusOr<Config> plain = ParseConfig(kGood, "f");
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_FALSE(plain->hosts[0].market.resources[0].forward.has_value());
  EXPECT_EQ(plain->hosts[0].market.quotes_valid, absl::Seconds(60));

  const absl::StatusOr<Config> all = ParseConfig(
      WithForward("{share_percent: 40, percentile: 75, look_back_rounds: 12, rounds_max: 90, "
                  "term_premium_ppm: 1, scarcity_premium_ppm: 2, end_fee_ppm: 3}"),
      "f");
  ASSERT_TRUE(all.ok()) << all.status();
  const market::ForwardSale expected{.share_ppm = 400'000,
                                     .look_back_rounds = 12,
                                     .policy = {.percentile_ppm = 750'000,
                                                .rounds_max = 90,
                                                .term_premium_ppm = 1,
                                                .scarcity_premium_ppm = 2,
                                                .end_fee_ppm = 3}};
  EXPECT_EQ(all->hosts[0].market.resources[0].forward, expected);

  const absl::StatusOr<Config> least = ParseConfig(
      absl::StrReplaceAll(WithForward("{share_ppm: 1}"),
                          {{"period_ms: 1000", "period_ms: 1000\n    quotes_valid_ms: 5000"}}),
      "f");
  ASSERT_TRUE(least.ok()) << least.status();
  EXPECT_EQ(least->hosts[0].market.resources[0].forward, market::ForwardSale{.share_ppm = 1});
  EXPECT_EQ(least->hosts[0].market.quotes_valid, absl::Seconds(5));
}

TEST(ConfigTest, ReadsTiersAndWhatTenantsMayAskFor) {
  const absl::StatusOr<Config> config = ParseConfig(absl::StrCat(kGood, R"(
    tiers:
      - {name: economy, price_percent: 100, floor: {memory: 8}, floor_every_rounds: 10}
      - {name: gold, price_percent: 300}
    guest_requests:
      guests_max: 2
      seeds: {memory: 16}
      tenants:
        - {id: ann, guests_max: 5, seeds: {memory: 30}}
        - {id: bob, guests_max: 0}
)"),
                                                    "f");
  ASSERT_TRUE(config.ok()) << config.status();
  const market::HostConfig& host = config->hosts[0].market;
  const auto memory = market::ResourceKind::kMemory;
  ASSERT_EQ(host.tiers.size(), 2u);
  EXPECT_EQ(host.tiers[0], (market::Tier{.name = "economy",
                                         .price_multiple_ppm = 1'000'000,
                                         .floor_units = {{memory, 8}},
                                         .floor_every_rounds = 10}));
  EXPECT_EQ(host.tiers[1], (market::Tier{.name = "gold", .price_multiple_ppm = 3'000'000}));
  EXPECT_TRUE(market::ValidateConfig(ToMarketConfig(*config)).ok());
  EXPECT_EQ(QuotaOf(host, "carol").guests_max, 2);
  EXPECT_EQ(QuotaOf(host, "carol").seed_units.at(memory), 16);
  EXPECT_EQ(QuotaOf(host, "ann").guests_max, 5);
  EXPECT_EQ(QuotaOf(host, "ann").seed_units.at(memory), 30);
  EXPECT_EQ(QuotaOf(host, "bob").guests_max, 0);
  const absl::StatusOr<Config> plain = ParseConfig(kGood, "f");
  EXPECT_EQ(QuotaOf(plain->hosts[0].market, "ann").guests_max, 0) << "operators admit all guests";
  EXPECT_TRUE(plain->hosts[0].market.tiers.empty());
}

TEST(ConfigTest, WrongTiersAndQuotasAreNamedWithTheirPlace) {
  const std::string low =
      "- {name: low, price_percent: 100, floor: {memory: 8}, floor_every_rounds: 3}";
  for (const auto& [text, error] : std::vector<std::pair<std::string, std::string>>{
           {"tiers: []", "hosts[0].tiers: needs at least 1"},
           {"tiers: [{name: low, price_percent: 100}]",
            "floor: the lowest tier needs one of every kind; memory is missing"},
           {"tiers: [{name: low, price_percent: 1, floor: {memory: 8}}]",
            "floor_every_rounds: goes with a floor"},
           {"tiers: [{name: low, price_percent: 1, floor: {memory: 65}, floor_every_rounds: 1}]",
            "tiers[0].floor.memory: must be from 1 to 64"},
           {"tiers: [{name: low, price_percent: 1, floor: {memory: 1, cpu: 1}, floor_every_rounds: "
            "1}]",
            "tiers[0].floor.cpu: unknown key"},
           {"tiers:\n      " + low + "\n      - {name: low, price_percent: 200}",
            "tiers[1].name: another tier is already called \"low\""},
           {"tiers:\n      " + low + "\n      - {name: high, price_percent: 99}",
            "tiers[1].price_percent: is below that of the tier before it"},
           {"tiers:\n      " + low + "\n      - {name: High, price_percent: 100}",
            "tiers[1].name: must be 1 to 32 of a-z"},
           {"guest_requests: {guests_max: 33}", "guest_requests.guests_max: must be from 0 to 32"},
           {"guest_requests: {guests_max: 1, seeds: {disk: 1}}",
            "guest_requests.seeds.disk: unknown key"},
           {"guest_requests: {tenants: [{id: ann}, {id: ann}]}",
            "guest_requests.tenants[1].id: \"ann\" is there twice"},
           {"guest_requests: {tenants: [{id: Ann}]}",
            "guest_requests.tenants[0].id: must be 1 to 32 of a-z"}}) {
    EXPECT_THAT(ErrorsOf(absl::StrCat(kGood, "    ", text, "\n")), ElementsAre(HasSubstr(error)))
        << text;
  }
}

TEST(ConfigTest, WhatCannotBeSoldForwardIsNamedWithItsPlace) {
  const std::string at = "hosts[0].resources[0].forward";
  for (const auto& [forward, error] : std::vector<std::pair<std::string, std::string>>{
           {"40", "f:15:18: " + at + ": must be a map, is a scalar"},
           {"{percentile: 60}", "share_percent: missing: say how much may be sold forward"},
           {"{share_percent: 10, share_ppm: 100000}", "share_ppm: not beside share_percent"},
           {"{share_percent: 101}", at + ".share_percent: must be from 0 to 100, is 101"},
           {"{share_ppm: 1000001}", at + ".share_ppm: must be from 0 to 1000000"},
           {"{share_percent: 10, percentile: 0}", at + ".percentile: must be from 1 to 100"},
           {"{share_percent: 10, look_back_rounds: 2881}", "must be from 1 to 2880, is 2881"},
           {"{share_percent: 10, rounds_max: 100001}", "rounds_max: must be from 1 to 100000"},
           {"{share_percent: 10, term_premium_ppm: -1}", "term_premium_ppm: must be from 0 to"},
           {"{share_percent: 10, scarcity_premium_ppm: 10000001}", "from 0 to 10000000"},
           {"{share_percent: 10, end_fee_ppm: 1000001}", "end_fee_ppm: must be from 0 to 1000000"},
           {"{share_percent: 10, share: 1}", at + ".share: unknown key; known here: share_perc"}}) {
    EXPECT_THAT(ErrorsOf(WithForward(forward)), ElementsAre(HasSubstr(error))) << forward;
  }
  for (const char* value : {"999", "3600001"}) {
    EXPECT_THAT(ErrorsOf(With("period_ms: 1000",
                              absl::StrCat("period_ms: 1000\n    quotes_valid_ms: ", value))),
                ElementsAre(HasSubstr("hosts[0].quotes_valid_ms: must be from 1000 to 3600000")));
  }
}

TEST(ConfigTest, SampleIsRightAndNamesEveryKey) {
  const absl::StatusOr<Config> config = LoadConfig(NOM_SOURCE_DIR "/deploy/marketd.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  // A market to be tried: nobody bids but those who were asked to.
  ASSERT_EQ(config->hosts[0].kind, HostKind::kSimulated);
  EXPECT_FALSE(config->hosts[0].guests_bid);
  EXPECT_EQ(config->hosts[0].guests_bid, HostConfig().guests_bid);
  // The comments in it promise these defaults.
  EXPECT_EQ(config->limits.message_max_bytes, LimitsConfig().message_max_bytes);
  EXPECT_EQ(config->limits.watches_max, LimitsConfig().watches_max);
  EXPECT_EQ(config->limits.watches_per_tenant_max, LimitsConfig().watches_per_tenant_max);
  EXPECT_EQ(config->limits.bids_per_second, LimitsConfig().bids_per_second);
  EXPECT_EQ(config->limits.bids_burst, LimitsConfig().bids_burst);
}

TEST(ConfigTest, UnknownKeyIsNamedWithItsPlace) {
  EXPECT_THAT(ErrorsOf(absl::StrCat(kGood, "ledgr: x\n")),
              ElementsAre(HasSubstr("f:15:1: ledgr: unknown key; known here: listen, ")));
  EXPECT_THAT(ErrorsOf(With("        unit_size", "        size: 3\n        unit_size")),
              ElementsAre(HasSubstr("f:11:9: hosts[0].resources[0].size: unknown key")));
}

TEST(ConfigTest, AllErrorsAtOnceInTheFilesOrder) {
  const std::vector<std::string> errors = ErrorsOf(R"(listen: nowhere
plaintext: maybe
hosts:
  - id: UPPER
    kind: simulated
    period_ms: 10
    resources: []
)");
  EXPECT_THAT(errors,
              ElementsAre(HasSubstr("f:1:1: tls: give tls, or plaintext: true"),
                          HasSubstr("f:1:1: ledger: missing"),
                          HasSubstr("f:1:1: operator_token_file: missing"),
                          HasSubstr("f:1:9: listen: must be host:port"),
                          HasSubstr("f:2:12: plaintext: must be true or false, is \"maybe\""),
                          HasSubstr("f:4:9: hosts[0].id: must be 1 to 32 of a-z"),
                          HasSubstr("f:6:16: hosts[0].period_ms: must be from 1000 to 86400000"),
                          HasSubstr("f:7:16: hosts[0].resources: needs at least 1 entry")));
}

TEST(ConfigTest, WrongValues) {
  struct Case {
    const char* from;
    const char* to;
    const char* error;
  };
  const Case cases[] = {
      {"capacity_units: 64", "capacity_units: \"64\"", "capacity_units: must be a whole number"},
      {"capacity_units: 64", "capacity_units: 6.4", "capacity_units: must be a whole number"},
      {"capacity_units: 64", "capacity_units: [64]", "must be a whole number, is a list"},
      {"capacity_units: 64", "capacity_units: 0", "capacity_units: must be from 1 to 16777216"},
      {"capacity_units: 64", "capacity_units: 99999999999999999999", "must be from 1 to"},
      {"capacity_units: 64", "# none", "f:10:9: hosts[0].resources[0].capacity_units: missing"},
      {"microcredits: 5", "microcredits: -5", "must be from 0 to"},
      {"uniform_price/1", "uniform price",
       "rule: must be a clearing rule and its version (uniform_price/1, "},
      {"kind: memory", "kind: gold", "must be one of cpu, memory, cache, network, disk, device"},
      {"kind: simulated", "kind: xen", "hosts[0].kind: must be one of nomhv, linux, simulated"},
      {"period_ms: 1000", "period_ms: 1000\n    grace_ms: 501",
       "grace_ms: must be from 100 to 500"},
      {"period_ms: 1000", "period_ms: 1000\n    clearing_work_max: 0",
       "clearing_work_max: must be from 1 to"},
      {"period_ms: 1000", "period_ms: 1000\n    arrears_grace_rounds: -1",
       "arrears_grace_rounds: must be from 0 to"},
      {"kind: simulated", "kind: simulated\n    mailbox: /x", "mailbox: only for kind nomhv"},
      {"kind: simulated", "kind: nomhv", "hosts[0].mailbox: missing"},
      {"ledger: /tmp/ledger", "ledger: \"\"", "ledger: must not be empty"},
      {"ledger: /tmp/ledger", "ledger: /a\nledger: /b", "f:4:1: ledger: given twice"},
      {"plaintext: true", "plaintext: true\ntls: {cert: a, key: b}", "cannot be true beside tls"},
      {"plaintext: true", "tls: {cert: a}", "tls.key: missing"},
      {"plaintext: true", "tls: 5", "tls: must be a map, is a scalar"},
      {"127.0.0.1:0", "0.0.0.0:7070", "plaintext: only for a loopback or Unix address"},
      {"127.0.0.1:0", "127.0.0.1:65536", "listen: must be host:port"},
      {"plaintext: true", "plaintext: true\npage_listen: 0.0.0.0:7080",
       "page_listen: only a loopback address"},
      {"plaintext: true", "plaintext: true\npage_listen: unix:/page",
       "page_listen: must be host:port"},
      {"plaintext: true", "plaintext: true\npage_directory: \"\"",
       "page_directory: must not be empty"},
      {"ledger: /tmp/ledger", "ledger: /a\nlimits: {watches_max: 0}",
       "limits.watches_max: must be"},
      {"ledger: /tmp/ledger", "ledger: [", "f:"},
      {"ledger: /tmp/ledger", "ledger: /a\nretention: 30", "retention: must be a number with s, m"},
      {"ledger: /tmp/ledger", "ledger: /a\nretention: 0d", "from 1s to 36500d"},
      {"ledger: /tmp/ledger", "ledger: /a\nretention: -1d", "from 1s to 36500d"},
      {"ledger: /tmp/ledger", "ledger: /a\nretention: 36501d", "from 1s to 36500d"},
      {"ledger: /tmp/ledger", "ledger: /a\nretention: 1.5d", "from 1s to 36500d"},
      {"ledger: /tmp/ledger", "ledger: /a\nretention: d", "from 1s to 36500d"},
      {"ledger: /tmp/ledger", "ledger: /a\narchive: /a-wal", "\"/a-wal\" belongs to the ledger"},
      {"ledger: /tmp/ledger", "ledger: /a\narchive: /a", "\"/a\" belongs to the ledger"},
      {"ledger: /tmp/ledger", "ledger: /a\narchive: /a.sending",
       "\"/a.sending\" belongs to the ledger"},
      {"listen: 127.0.0.1:0", "- a", "f:"},
  };
  for (const Case& c : cases) {
    const std::vector<std::string> errors = ErrorsOf(With(c.from, c.to));
    ASSERT_FALSE(errors.empty()) << c.to;
    EXPECT_THAT(errors[0], HasSubstr(c.error)) << c.to;
  }
}

TEST(ConfigTest, DoublesAreRefused) {
  const std::string resource = kGood + std::string(kGood).find("      - kind");
  EXPECT_THAT(ErrorsOf(kGood + resource),
              ElementsAre(HasSubstr("hosts[0].resources[1].kind: this host already has")));
  const std::string host = kGood + std::string(kGood).find("  - id");
  EXPECT_THAT(ErrorsOf(kGood + host),
              ElementsAre(HasSubstr("hosts[1].id: another host is already called \"sim\"")));
}

TEST(ConfigTest, EmptyAndForeignFiles) {
  EXPECT_THAT(ErrorsOf(""), ElementsAre(HasSubstr("f:1:1: must be a map, is nothing"),
                                        HasSubstr("tls: give tls")));
  EXPECT_THAT(ErrorsOf("\x7f"
                       "ELF\x02\x01"),
              ::testing::Not(::testing::IsEmpty()));
  EXPECT_EQ(LoadConfig("/nonexistent/f").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(LoadConfig("/").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ConfigTest, NomhvMayLeaveCapacityToTheMachine) {
  const std::string text = absl::StrReplaceAll(
      kGood, {{"kind: simulated", "kind: nomhv\n    mailbox: /m\n    image_directory: /i"},
              {"        capacity_units: 64\n", ""}});
  const absl::StatusOr<Config> config = ParseConfig(text, "f");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->hosts[0].market.resources[0].capacity_units, 0);
  EXPECT_EQ(config->hosts[0].nomhv_host.mailbox_path, "/m");
}

TEST(ConfigTest, ImagesOfANomhvHostMayBePcs) {
  const auto parse = [](const std::string& pcs) {
    return ParseConfig(
        absl::StrReplaceAll(kGood, {{"kind: simulated",
                                     "kind: nomhv\n    mailbox: /m\n    image_directory: /i\n"
                                     "    pcs:\n" +
                                         pcs}}),
        "f");
  };
  const absl::StatusOr<Config> config = parse(
      "    - {name: debian, kernel: vmlinux, initramfs: linux.cpio, command_line: a b, processors: "
      "8}\n"
      "    - {name: bare, kernel: k}");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(config->hosts[0].nomhv_host.pcs,
              ElementsAre(market::PcImage{"debian", "vmlinux", "linux.cpio", "a b", 8},
                          market::PcImage{"bare", "k", "", "", 1}));
  const std::string longest(NOM_PC_COMMAND_LINE_BYTES - NOM_ARGUMENTS_BYTES - 1, 'x');
  EXPECT_TRUE(parse("    - {name: a, kernel: k, command_line: " + longest + "}").ok());
  for (const auto& [pc, wrong] : std::vector<std::pair<std::string, std::string>>{
           {"{kernel: k}", "pcs[0].name: missing"},
           {"{name: a}", "pcs[0].kernel: missing"},
           {"{name: a/b, kernel: k}", "pcs[0].name: must have at most 31 bytes and no /"},
           {"{name: a, kernel: " + std::string(32, 'k') + "}", "pcs[0].kernel: must have"},
           {"{name: a, kernel: k, initramfs: ../x}", "pcs[0].initramfs: must have"},
           {"{name: a, kernel: k, command_line: " + longest + "x}",
            "pcs[0].command_line: has 1792"},
           {"{name: a, kernel: k, command_line: \"x\\ny\"}",
            "pcs[0].command_line: must be one line"},
           {"{name: a, kernel: k, processors: 9}", "pcs[0].processors: must be 1 to 8, is 9"},
           {"{name: a, kernel: k, processors: 0}", "pcs[0].processors: must be 1 to 8, is 0"},
           {"{name: a, kernel: k, cores: 2}", "pcs[0].cores"},
           {"{name: a, kernel: k}\n    - {name: a, kernel: k}", "pcs[1].name: there already is"}}) {
    const absl::Status status = parse("    - " + pc).status();
    EXPECT_THAT(status.message(), HasSubstr(wrong)) << pc;
  }
  EXPECT_THAT(
      ParseConfig(absl::StrReplaceAll(kGood, {{"kind: simulated", "kind: simulated\n    pcs: []"}}),
                  "f")
          .status()
          .message(),
      HasSubstr("pcs: only for kind nomhv"));
}

constexpr char kLinux[] = R"(listen: 127.0.0.1:0
plaintext: true
ledger: /tmp/ledger
operator_token_file: /tmp/token
hosts:
  - id: lab
    kind: linux
    cgroup_root: /sys/fs/cgroup/nom
    run_directory: /run/nom/linux
    launcher_socket: /run/nom/launcher
    cpu_unsold: 0.1 cores
    memory_unsold: 512MiB
    disk: {device: /dev/vda, rate: 2000 IOPS, request: 128KiB}
    network: {addresses: 10.77.0.0/16, rate: 1Gbit/s}
    period_ms: 1000
    recipes:
      - name: web
        argv: [/usr/bin/web, -p, "80"]
        user: www-data
        arguments: true
        force: swap
        cpu: idle
        network: own
      - name: batch
        argv: [/bin/batch]
        user: nobody
    resources:
      - kind: memory
        unit_size: 1048576
        rule: uniform_price/1
        reserve_unit_price_microcredits: 5
      - kind: network
        unit_size: 1
        rule: uniform_price/1
        reserve_unit_price_microcredits: 5
      - kind: disk
        unit_size: 10
        rule: uniform_price/1
        reserve_unit_price_microcredits: 5
)";

TEST(ConfigTest, ReadsALinuxHost) {
  const absl::StatusOr<Config> config = ParseConfig(kLinux, "f");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->hosts[0].kind, HostKind::kLinux);
  EXPECT_EQ(config->hosts[0].market.kind, "linux");
  const market::LinuxHostOptions& host = config->hosts[0].linux_host;
  EXPECT_EQ(host.cgroup_root, "/sys/fs/cgroup/nom");
  EXPECT_EQ(host.cpu_unsold_millicores, 100);
  EXPECT_EQ(host.memory_unsold_bytes, 512 << 20);
  EXPECT_EQ(host.disk.device, "/dev/vda");
  EXPECT_EQ(host.disk.iops, 2000);
  EXPECT_EQ(host.disk.request_bytes, 128 << 10);
  EXPECT_EQ(host.network.addresses, 10U << 24 | 77U << 16);
  EXPECT_EQ(host.network.prefix, 16);
  EXPECT_EQ(host.network.mbits, 1000);
  ASSERT_EQ(host.recipes.size(), 2u);
  EXPECT_THAT(host.recipes[0].argv, ElementsAre("/usr/bin/web", "-p", "80"));
  EXPECT_TRUE(host.recipes[0].arguments);
  EXPECT_EQ(host.recipes[0].force, market::Recipe::Force::kSwap);
  EXPECT_EQ(host.recipes[0].cpu, market::Recipe::Cpu::kIdle);
  EXPECT_EQ(host.recipes[0].network, market::Recipe::Network::kOwn);
  EXPECT_EQ(host.recipes[1].force, market::Recipe::Force::kKill);
  EXPECT_EQ(host.recipes[1].processes_max, market::Recipe().processes_max);
}

TEST(ConfigTest, AUnitNeedsNoProgram) {
  const absl::StatusOr<Config> config =
      ParseConfig(absl::StrReplaceAll(kLinux, {{"argv: [/bin/batch]\n        user: nobody",
                                                "unit: postgresql.service\n        force: swap"}}),
                  "f");
  ASSERT_TRUE(config.ok()) << config.status();
  const market::Recipe& recipe = config->hosts[0].linux_host.recipes[1];
  EXPECT_EQ(recipe.unit, "postgresql.service");
  EXPECT_EQ(recipe.force, market::Recipe::Force::kSwap);
}

TEST(ConfigTest, WrongLinuxHosts) {
  struct Case {
    const char* from;
    const char* to;
    const char* error;
  };
  for (const Case& c : {
           Case{"    cgroup_root: /sys/fs/cgroup/nom\n", "", "hosts[0].cgroup_root: missing"},
           Case{"/sys/fs/cgroup/nom", "sys/fs",
                "f:8:18: hosts[0].cgroup_root: must be an absolute"},
           Case{"/run/nom/linux", "/run/nom/", "run_directory: must not end with /"},
           Case{"512MiB", "512", "f:12:20: hosts[0].memory_unsold: \"512\": has no unit"},
           Case{"0.1 cores", "3 bushels", "cpu_unsold: \"3 bushels\": unknown unit \"bushels\""},
           Case{"user: www-data", "user: root",
                "f:19:15: hosts[0].recipes[0].user: no guest runs as root"},
           Case{"[/usr/bin/web,", "[/srv/../bin/sh,",
                "f:18:15: hosts[0].recipes[0].argv: \"/srv/../bin/sh\" steps up"},
           Case{"[/usr/bin/web,", "[[x],", "hosts[0].recipes[0].argv[0]: must be a text"},
           Case{"name: batch", "name: web", "another recipe is already called \"web\""},
           Case{"argv: [/bin/batch]\n        user: nobody", "unit: nginx",
                "recipes[1].unit: must be the name of a service or a scope"},
           Case{"argv: [/bin/batch]", "unit: nginx.service",
                "recipes[1].unit: runs already, as systemd was told"},
           Case{"argv: [/bin/batch]\n", "argv: []\n", "recipes[1].argv"},
           Case{"        argv: [/bin/batch]\n", "", "recipes[1].argv: missing"},
           Case{"        user: nobody\n", "", "recipes[1].user: missing"},
           Case{"force: swap", "force: beg", "force: must be one of kill, swap"},
           Case{"force: swap", "priority: 3", "recipes[0].priority: unknown key"},
           Case{"kind: memory", "kind: cache",
                "a linux host sells cpu, memory, network and disk only"},
           Case{"rate: 2000 IOPS", "rate: 2000", "hosts[0].disk.rate: \"2000\": has no unit"},
           Case{"rate: 2000 IOPS, ", "", "hosts[0].disk.rate: missing"},
           Case{"10.77.0.0/16", "10.77.0.1/16",
                "hosts[0].network.addresses: \"10.77.0.1/16\": has"},
           Case{", rate: 1Gbit/s", "", "hosts[0].network.rate: missing"},
           Case{"    network: {addresses: 10.77.0.0/16, rate: 1Gbit/s}\n", "",
                "hosts[0].network: missing: resources sell network"},
           Case{"128KiB", "100 B", "hosts[0].disk.request: must be from 512 B to 16 MiB"},
           Case{"    disk: {device: /dev/vda, rate: 2000 IOPS, request: 128KiB}\n", "",
                "hosts[0].disk: missing: resources sell disk; say which"},
           Case{"    period_ms", "    guests_max: 257\n    period_ms", "must be from 1 to 256"},
           Case{"    period_ms", "    mailbox: /x\n    period_ms", "mailbox: only for kind nomhv"},
           Case{"    period_ms", "    guests_bid: true\n    period_ms", "only for kind simulated"},
       }) {
    const std::string text = absl::StrReplaceAll(kLinux, {{c.from, c.to}});
    ASSERT_NE(text, kLinux) << c.from;
    EXPECT_THAT(ErrorsOf(text), ::testing::Contains(HasSubstr(c.error))) << c.to;
  }
  EXPECT_THAT(ErrorsOf(With("kind: simulated", "kind: simulated\n    cgroup_root: /x")),
              ElementsAre(HasSubstr("cgroup_root: only for kind linux")));
  EXPECT_THAT(ErrorsOf(With("kind: simulated", "kind: simulated\n    disk: {device: /dev/vda}")),
              ElementsAre(HasSubstr("disk: only for kind linux")));
}

TEST(ConfigTest, LocalAddresses) {
  for (const char* address :
       {"127.0.0.1:0", "127.255.0.9:80", "[::1]:7", "localhost:1", "unix:/run/nom.sock"}) {
    EXPECT_TRUE(IsLocalAddress(address)) << address;
  }
  for (const char* address : {"0.0.0.0:1", "128.0.0.1:1", "127.0.0.1", "127.evil.com.x:1",
                              "localhost.evil.com:1", "[::]:1", "example.com:1", "127.0.0.1.x:1"}) {
    EXPECT_FALSE(IsLocalAddress(address)) << address;
  }
}

class TokenFileTest : public ::testing::Test {
 protected:
  TokenFileTest() { ::unsetenv("CREDENTIALS_DIRECTORY"); }
  ~TokenFileTest() override { std::filesystem::remove(path_); }
  void Write(absl::string_view text, mode_t mode) {
    std::ofstream(path_) << text;
    ASSERT_EQ(::chmod(path_.c_str(), mode), 0);
  }
  const std::string path_ = ::testing::TempDir() + "nom_token_" + std::to_string(::getpid());
};

TEST_F(TokenFileTest, FirstLineIsTheToken) {
  Write("0123456789abcdef\nmore\n", 0600);
  const absl::StatusOr<std::string> token = ReadTokenFile(path_);
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_EQ(*token, "0123456789abcdef");
  Write(
      "\xef\xbb\xbf"
      "0123456789abcdef\r\n",
      0600);  // As some editors write it.
  EXPECT_EQ(ReadTokenFile(path_).value_or("refused"), "0123456789abcdef");
}

TEST_F(TokenFileTest, BadFilesAreRefusedWithoutShowingThem) {
  EXPECT_EQ(ReadTokenFile(path_).status().code(), absl::StatusCode::kNotFound);
  Write("0123456789abcdef\n", 0644);
  EXPECT_EQ(ReadTokenFile(path_).status().code(), absl::StatusCode::kFailedPrecondition);
  Write("short secret\n", 0600);
  const absl::Status status = ReadTokenFile(path_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(path_));
  EXPECT_THAT(std::string(status.message()), ::testing::Not(HasSubstr("secret")));
}

// A pipe that nobody writes to, and a device that has no end.
TEST_F(TokenFileTest, WhatIsNoFileIsNotWaitedFor) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  for (const std::string& file : {path_, std::string("/dev/zero"), ::testing::TempDir()}) {
    for (const absl::Status& status :
         {ReadTokenFile(file).status(), ReadConfigFile(file).status()}) {
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
      EXPECT_THAT(std::string(status.message()), HasSubstr(file + ": is not a file"));
    }
  }
}

}  // namespace
}  // namespace nom::marketd
