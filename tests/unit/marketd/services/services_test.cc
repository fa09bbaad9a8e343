// SPDX-License-Identifier: Apache-2.0
// The parts of the edge that need no gRPC: tokens, identity, rates, gate, sockets, conversions.

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <limits>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "marketd/base/log.h"
#include "marketd/server/connections.h"
#include "marketd/server/gate.h"
#include "marketd/server/status.h"
#include "marketd/services/authenticator.h"
#include "marketd/services/convert.h"
#include "marketd/services/fair_worker.h"
#include "marketd/services/pages.h"
#include "marketd/services/rate_limiter.h"
#include "marketd/services/refusal_log.h"
#include "marketd/services/token.h"
#include "marketd/services/worker.h"

namespace nom::marketd {
namespace {

using ::testing::HasSubstr;

TEST(TokenTest, TokensDifferAndHashesAreSha256) {
  std::set<std::string> tokens;
  for (int i = 0; i < 1000; ++i) tokens.insert(NewToken());
  EXPECT_EQ(tokens.size(), 1000u);
  EXPECT_EQ(tokens.begin()->size(), 5u + 64u);
  // FIPS 180-2, appendix B.1.
  EXPECT_EQ(HashToken("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

class AuthenticatorTest : public ::testing::Test {
 protected:
  AuthenticatorTest() : authenticator_("the-operators-token") {
    Add("alice", {{.token_id = 1, .hash = HashToken("token-of-alice")}});
    Add("bob", {{.token_id = 1, .hash = HashToken("token-of-bob")},
                {.token_id = 2,
                 .hash = HashToken("another-of-bob"),
                 .scope = market::TokenScope::kReadOnly,
                 .expire_time = now_ + absl::Seconds(10)}});
  }
  void Add(const std::string& tenant_id, std::vector<market::Token> tokens) {
    view_.tenants.push_back({{.tenant_id = tenant_id, .tokens = std::move(tokens)}, {}});
  }
  absl::StatusOr<market::Caller> Identify(std::optional<absl::string_view> authorization,
                                          std::optional<absl::string_view> certificate = {}) {
    return authenticator_.Identify(authorization, certificate, view_, now_);
  }

  absl::Time now_ = absl::FromUnixSeconds(1'800'000'000);
  Authenticator authenticator_;
  market::View view_;
};

TEST_F(AuthenticatorTest, ACredentialNamesTheCaller) {
  auto caller = Identify("Bearer token-of-bob");
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_FALSE(caller->is_operator);
  EXPECT_EQ(caller->tenant_id, "bob");
  caller = Identify("bearer the-operators-token");
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_TRUE(caller->is_operator);
  caller = Identify(std::nullopt, "alice");
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ(caller->tenant_id, "alice");
}

TEST_F(AuthenticatorTest, WhatIsNoCredentialIsRefused) {
  for (const char* value :
       {"", "Bearer ", "Bearer token-of-bob ", "token-of-bob", "Basic x", "Bearer TOKEN-OF-BOB"}) {
    EXPECT_EQ(Identify(value).status().code(), absl::StatusCode::kUnauthenticated) << value;
  }
  EXPECT_FALSE(Identify("Bearer token-of-bob", "alice").ok());
  EXPECT_TRUE(Identify("Bearer token-of-bob", "bob").ok());
  EXPECT_FALSE(Identify(std::nullopt, "mallory").ok());
  EXPECT_FALSE(Identify(std::nullopt).ok());
  EXPECT_FALSE(Identify("Bearer " + std::string(600, 'x')).ok());
}

TEST_F(AuthenticatorTest, AReplacedTokenIsForgotten) {
  ASSERT_TRUE(Identify("Bearer token-of-bob").ok());
  view_.tenants = market::SharedList<market::TenantView>();
  Add("bob", {{.token_id = 1, .hash = HashToken("new")}});
  EXPECT_FALSE(Identify("Bearer token-of-bob").ok());
  EXPECT_TRUE(Identify("Bearer new").ok());
}

TEST_F(AuthenticatorTest, EachOfATenantsTokensIsOneUntilItExpires) {
  const auto full = Identify("Bearer token-of-bob");
  ASSERT_TRUE(full.ok()) << full.status();
  EXPECT_EQ(full->token_id, 1u);
  EXPECT_FALSE(full->read_only);
  const CallHead head{.authorization = "Bearer another-of-bob"};
  const auto reader = authenticator_.Identify(head, view_, now_);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(reader->caller.tenant_id, "bob");
  EXPECT_EQ(reader->caller.token_id, 2u);
  EXPECT_TRUE(reader->caller.read_only);
  EXPECT_TRUE(authenticator_.StillGood(*reader, view_, now_ + absl::Seconds(9)).ok());
  now_ += absl::Seconds(10);
  EXPECT_TRUE(absl::IsUnauthenticated(authenticator_.StillGood(*reader, view_, now_)));
  EXPECT_THAT(std::string(Identify("Bearer another-of-bob").status().message()),
              HasSubstr("has expired"));
  EXPECT_TRUE(Identify("Bearer token-of-bob").ok()) << "the other is as good as before";
  // Revoked.
  view_.tenants = market::SharedList<market::TenantView>();
  Add("bob", {});
  EXPECT_FALSE(Identify("Bearer token-of-bob").ok());
}

TEST(RefusalLogTest, OneLineACallerAndAMinute) {
  std::vector<std::string> lines;
  SetLogSink([&lines](const LogLine& line) { lines.push_back(LogText(line)); });
  RefusalLog refusals;
  absl::Time now = absl::FromUnixSeconds(1000);
  for (int i = 0; i < 500; ++i) refusals.Note("shop", "bids", "too many a second", now);
  EXPECT_THAT(lines,
              ::testing::ElementsAre("level=warning event=calls_refused by=shop what=bids calls=1 "
                                     "msg=\"too many a second\""))
      << "the first is told at once";
  refusals.Note("operator", "reads", "too many at once", now);
  EXPECT_THAT(lines.back(),
              ::testing::HasSubstr("by=operator what=reads calls=1 msg=\"too many at once\""));
  now += RefusalLog::kInterval;
  refusals.Note("shop", "bids", "too many a second", now);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_THAT(lines.back(), ::testing::HasSubstr("by=shop what=bids calls=500")) << "none is lost";
  now -= absl::Hours(5);  // Somebody set the clock back.
  refusals.Note("shop", "bids", "too many a second", now);
  now += RefusalLog::kInterval;
  refusals.Note("shop", "bids", "too many a second", now);
  EXPECT_EQ(lines.size(), 4u);
  SetLogSink(nullptr);
}

// Whoever can make names without end makes neither lines nor records without end.
TEST(RefusalLogTest, ManyNamesTogetherAreOthers) {
  std::vector<std::string> lines;
  SetLogSink([&lines](const LogLine& line) { lines.push_back(LogText(line)); });
  RefusalLog refusals;
  absl::Time now = absl::FromUnixSeconds(1000);
  for (size_t i = 0; i < RefusalLog::kPairsMax + 10; ++i) {
    refusals.Note(absl::StrCat("t", i), "bids", "too many a second", now);
  }
  ASSERT_EQ(lines.size(), RefusalLog::kPairsMax + 1);
  EXPECT_THAT(lines.back(), ::testing::HasSubstr("by=others what=bids calls=1 "));
  now += RefusalLog::kInterval;
  refusals.Note("late", "bids", "too many a second", now);
  EXPECT_THAT(lines.back(), ::testing::HasSubstr("by=late what=bids calls=1 "));
  SetLogSink(nullptr);
}

TEST(RateLimiterTest, BurstThenTheRate) {
  RateLimiter limiter(/*per_second=*/10, /*burst=*/3);
  absl::Time now = absl::FromUnixSeconds(1000);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limiter.Take("a", now));
  EXPECT_FALSE(limiter.Take("a", now));
  EXPECT_TRUE(limiter.Take("b", now)) << "each has its own";
  now += absl::Milliseconds(99);
  EXPECT_FALSE(limiter.Take("a", now));
  now += absl::Milliseconds(1);
  EXPECT_TRUE(limiter.Take("a", now));
  EXPECT_FALSE(limiter.Take("a", now));
  // A clock that goes back neither refills nor blocks for long.
  now -= absl::Hours(5);
  EXPECT_FALSE(limiter.Take("a", now));
  now += absl::Milliseconds(100);
  EXPECT_TRUE(limiter.Take("a", now));
  now += absl::Hours(100);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limiter.Take("a", now));
  EXPECT_FALSE(limiter.Take("a", now)) << "what was saved up is bounded";
}

TEST(GateTest, ClosesAndWaits) {
  Gate gate;
  ASSERT_TRUE(gate.Enter());
  gate.Close();
  EXPECT_FALSE(gate.Enter());
  EXPECT_FALSE(gate.WaitEmpty(absl::ZeroDuration()));
  std::thread leaver([&] { gate.Leave(); });
  EXPECT_TRUE(gate.WaitEmpty(absl::Seconds(60)));
  leaver.join();
}

// One who listens, and one connection to it.
class Sockets {
 public:
  explicit Sockets(int family) : listener(::socket(family, SOCK_STREAM, 0)) {
    if (family == AF_UNIX) {
      std::string name = ::testing::TempDir() + "nom-sockets-XXXXXX";
      EXPECT_NE(::mkdtemp(name.data()), nullptr);
      path = name + "/s";
      sockaddr_un own{.sun_family = AF_UNIX, .sun_path = {}};
      path.copy(own.sun_path, sizeof own.sun_path - 1);
      Connect(&own, sizeof own);
      address = "unix:" + path;
    } else {
      sockaddr_in own{};
      own.sin_family = AF_INET;
      own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      Connect(&own, sizeof own);
      address = absl::StrCat("127.0.0.1:", ntohs(own.sin_port));
    }
  }
  ~Sockets() {
    for (const int fd : {listener, client, accepted}) ::close(fd);
    if (path.empty()) return;
    ::unlink(path.c_str());
    ::rmdir(path.substr(0, path.size() - 2).c_str());
  }

  // What the client reads now: "" is the end of the stream, "-" nothing yet.
  std::string Read() const {
    char byte = 0;
    const ssize_t read = ::recv(client, &byte, 1, MSG_DONTWAIT);
    return read < 0 ? "-" : std::string(&byte, static_cast<size_t>(read));
  }

  const int listener;
  int client = -1;
  int accepted = -1;
  std::string path;
  std::string address;

 private:
  template <typename Address>
  void Connect(Address* own, socklen_t length) {
    auto* const any = reinterpret_cast<sockaddr*>(own);
    EXPECT_EQ(::bind(listener, any, length), 0);
    EXPECT_EQ(::listen(listener, 8), 0);
    EXPECT_EQ(::getsockname(listener, any, &length), 0);
    client = ::socket(any->sa_family, SOCK_STREAM, 0);
    EXPECT_EQ(::connect(client, any, length), 0);
    accepted = ::accept(listener, nullptr, nullptr);
    EXPECT_GE(accepted, 0);
  }
};

TEST(ConnectionsTest, ThoseOfOneAddressEndAfterWhatWasWritten) {
  for (const int family : {AF_INET, AF_UNIX}) {
    const Sockets ended(family);
    const Sockets other(family);
    ASSERT_EQ(::write(ended.accepted, "x", 1), 1);
    EXPECT_EQ(EndConnections(ended.address), 1);
    EXPECT_EQ(ended.Read(), "x");
    EXPECT_EQ(ended.Read(), "");
    EXPECT_EQ(::send(ended.accepted, "y", 1, MSG_NOSIGNAL), -1) << "its owner finds it ended";
    EXPECT_EQ(other.Read(), "-") << "the connections of others go on";
    const int again = ::socket(family, SOCK_STREAM, 0);
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    ASSERT_EQ(::getsockname(ended.listener, reinterpret_cast<sockaddr*>(&address), &length), 0);
    EXPECT_EQ(::connect(again, reinterpret_cast<sockaddr*>(&address), length), 0)
        << "and so does whoever listens";
    ::close(again);
  }
  EXPECT_EQ(EndConnections("127.0.0.1:1"), 0);
}

// What a tenant has heaped up before, the next job of another does not wait for.
TEST(FairWorkerTest, OwnersTakeTurnsAndTheOperatorHasEverySecond) {
  std::string order;  // Written by the worker's thread, read when it is gone.
  {
    std::promise<void> go;
    std::promise<void> busy;
    FairWorker worker(/*queued_per_owner_max=*/6);
    ASSERT_TRUE(worker.Post("", [&, waiting = go.get_future().share()] {
      busy.set_value();
      waiting.wait();
    }));
    busy.get_future().wait();
    for (int i = 0; i < 6; ++i) EXPECT_TRUE(worker.Post("a", [&] { order += 'a'; }));
    EXPECT_FALSE(worker.Post("a", [&] { order += 'x'; })) << "its own queue is full";
    for (int i = 0; i < 2; ++i) EXPECT_TRUE(worker.Post("b", [&] { order += 'b'; }));
    EXPECT_TRUE(worker.Post("c", [&] { order += 'c'; }));
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(worker.Post("", [&] { order += '.'; }));
    go.set_value();
  }
  EXPECT_EQ(order, "a.b.c.abaaaa");
}

TEST(TenantPageTest, EndsByBytesAndLeavesNobodyOut) {
  market::View view;
  for (int i = 0; i < 20'000; ++i) {
    const std::string tenant_id = absl::StrFormat("t-%05d", i);
    view.tenants.push_back({{.tenant_id = tenant_id, .display_name = std::string(128, 'x')},
                            {.available = int64_t{1} << 60}});
  }
  std::string after;
  int pages = 0;
  int next = 0;
  do {
    nom::operators::v1::ListTenantsResponse page;
    AddTenants(view, after, &page);
    EXPECT_LT(page.ByteSizeLong(), kPageBytesMax + 65'536);
    ASSERT_EQ(page.tenants_size(), page.accounts_size());
    for (int i = 0; i < page.tenants_size(); ++i) {
      EXPECT_EQ(page.tenants(i).tenant_id(), absl::StrFormat("t-%05d", next++));
      EXPECT_EQ(page.accounts(i).tenant_id(), page.tenants(i).tenant_id());
    }
    after = page.next_after_tenant_id();
    ++pages;
  } while (!after.empty());
  EXPECT_EQ(next, 20'000);
  EXPECT_GT(pages, 2);
}

class RoundPageTest : public ::testing::Test {
 protected:
  // Rounds 1 to `count`, each with outcomes of `guests` guests.
  static ReadRounds Rounds(int count, int guests) {
    return [count, guests](market::RoundId below, int wanted) {
      std::vector<market::Round> out;
      market::RoundId next = below == 0 ? static_cast<market::RoundId>(count) : below - 1;
      for (; next > 0 && out.size() < static_cast<size_t>(wanted); --next) {
        market::Round& round = out.emplace_back();
        round.round_id = next;
        round.host_id = "h";
        for (int g = 1; g <= guests; ++g) {
          round.outcomes.push_back({.guest_id = static_cast<market::GuestId>(g),
                                    .kind = market::ResourceKind::kMemory,
                                    .seed_units = 1 << 20,
                                    .award_units = 1 << 20});
        }
      }
      return absl::StatusOr<std::vector<market::Round>>(std::move(out));
    };
  }
  // All pages; each is held against the limit.
  static std::vector<uint64_t> All(const ReadRounds& read, int page_size, int* pages) {
    std::vector<uint64_t> out;
    uint64_t before = 0;
    for (*pages = 1;; ++*pages) {
      nom::market::v1::ListRoundsResponse page;
      EXPECT_TRUE(AddRounds(read, before, page_size, {.is_operator = true}, true, &page).ok());
      EXPECT_LE(page.rounds_size(), page_size);
      EXPECT_TRUE(page.rounds_size() == 1 || page.ByteSizeLong() < kPageBytesMax + 65'536);
      for (const auto& round : page.rounds()) out.push_back(round.round_id());
      before = page.next_before_round_id();
      if (before == 0) return out;
    }
  }
  static std::vector<uint64_t> Down(uint64_t from) {
    std::vector<uint64_t> out;
    for (; from > 0; --from) out.push_back(from);
    return out;
  }
};

TEST_F(RoundPageTest, EndByNumberAndByBytesAndLeaveNothingOut) {
  int pages = 0;
  EXPECT_EQ(All(Rounds(200, 1), 1000, &pages), Down(200));
  EXPECT_EQ(pages, 1);
  EXPECT_EQ(All(Rounds(200, 1), 64, &pages), Down(200));
  EXPECT_EQ(pages, 4);
  EXPECT_EQ(All(Rounds(64, 1), 64, &pages), Down(64));
  EXPECT_EQ(pages, 1) << "no empty page at the end";
  // 200 rounds of 600 guests: a page of 1000 was larger than any client takes.
  EXPECT_EQ(All(Rounds(200, 600 * 6), 1000, &pages), Down(200));
  EXPECT_GT(pages, 4);
  EXPECT_EQ(All(Rounds(3, 100'000), 1000, &pages), Down(3)) << "one too large goes alone";
  EXPECT_EQ(pages, 3);
  EXPECT_EQ(All(Rounds(0, 1), 20, &pages), Down(0));
}

class PricePageTest : public ::testing::Test {
 protected:
  using Request = nom::market::v1::ListPricesRequest;

  // Rounds 1 to `count` of memory and cpu, with rules whose names are so long.
  static ReadPrices Rounds(market::RoundId count, size_t name_bytes) {
    return [count, name_bytes](const market::PricesWanted& wanted) {
      std::vector<market::Round> out;
      market::RoundId id = count;
      if (wanted.before_round_id != 0) id = std::min(id, wanted.before_round_id - 1);
      for (; id >= std::max<market::RoundId>(wanted.first_round_id, 1) &&
             out.size() < static_cast<size_t>(wanted.rounds_max);
           --id) {
        market::Round& round = out.emplace_back();
        round.round_id = id;
        round.host_id = wanted.host_id;
        round.phase = id % 2 == 0 ? market::RoundPhase::kReleased : market::RoundPhase::kSettled;
        for (const market::ResourceKind kind :
             {market::ResourceKind::kCpu, market::ResourceKind::kMemory}) {
          round.prices.push_back({.kind = kind,
                                  .unit_price_microcredits = static_cast<int64_t>(id),
                                  .highest_rejected_unit_price_microcredits = 77,
                                  .rule = std::string(name_bytes, 'r')});
        }
      }
      return absl::StatusOr<std::vector<market::Round>>(std::move(out));
    };
  }
  static std::vector<uint64_t> All(const ReadPrices& read, Request request, int* pages) {
    std::vector<uint64_t> out;
    for (*pages = 1;; ++*pages) {
      const absl::StatusOr<PricesAsked> asked = FromProto(request);
      EXPECT_TRUE(asked.ok()) << asked.status();
      nom::market::v1::ListPricesResponse page;
      EXPECT_TRUE(AddPrices(read, *asked, &page).ok());
      EXPECT_LE(page.rounds_size(), asked->page_size);
      EXPECT_TRUE(page.rounds_size() == 1 || page.ByteSizeLong() < kPageBytesMax + 65'536);
      for (const auto& round : page.rounds()) out.push_back(round.round_id());
      if (page.next_page_token().empty()) return out;
      request.set_page_token(page.next_page_token());
    }
  }
  static std::vector<uint64_t> Down(uint64_t from, uint64_t to = 1) {
    std::vector<uint64_t> out;
    for (; from >= to; --from) out.push_back(from);
    return out;
  }
};

TEST_F(PricePageTest, EndByNumberAndByBytesAndLeaveNothingOut) {
  int pages = 0;
  Request request;
  EXPECT_EQ(All(Rounds(2'500, 6), request, &pages), Down(2'500));
  EXPECT_EQ(pages, 3) << "a page is bounded also if nobody says how";
  request.set_page_size(64);
  EXPECT_EQ(All(Rounds(128, 6), request, &pages), Down(128));
  EXPECT_EQ(pages, 2) << "no empty page at the end";
  request.set_first_round_id(30);
  request.set_last_round_id(100);
  EXPECT_EQ(All(Rounds(128, 6), request, &pages), Down(100, 30));
  EXPECT_EQ(pages, 2);
  EXPECT_EQ(All(Rounds(0, 6), {}, &pages), std::vector<uint64_t>());
  EXPECT_EQ(All(Rounds(500, 4'000), {}, &pages), Down(500));
  EXPECT_GE(pages, 4) << "some 4 MB";
  EXPECT_EQ(All(Rounds(3, 1 << 20), {}, &pages), Down(3)) << "one too large goes alone";
}

TEST_F(PricePageTest, TellsWhatEverybodyMayKnowOfTheKindsAskedFor) {
  Request request;
  request.add_kinds(nom::market::v1::RESOURCE_KIND_MEMORY);
  request.set_page_size(2);
  nom::market::v1::ListPricesResponse page;
  ASSERT_TRUE(AddPrices(Rounds(9, 6), *FromProto(request), &page).ok());
  ASSERT_EQ(page.rounds_size(), 2);
  ASSERT_EQ(page.rounds(0).prices_size(), 1);
  EXPECT_EQ(page.rounds(0).prices(0).kind(), nom::market::v1::RESOURCE_KIND_MEMORY);
  EXPECT_EQ(page.rounds(0).prices(0).unit_price_microcredits(), 9);
  EXPECT_EQ(page.rounds(0).prices(0).policy(), "rrrrrr");
  EXPECT_FALSE(page.rounds(0).released());
  EXPECT_TRUE(page.rounds(1).released());
  EXPECT_EQ(page.DebugString().find("77"), std::string::npos) << "border prices are others' bids";
  const absl::Status unread =
      AddPrices([](const market::PricesWanted&) { return absl::DataLossError("damaged"); },
                *FromProto(request), &page);
  EXPECT_TRUE(absl::IsDataLoss(unread)) << unread;
}

TEST_F(PricePageTest, SaysWhichFieldIsWrong) {
  const auto refused = [](const std::function<void(Request&)>& change) {
    Request request;
    change(request);
    const absl::Status status = FromProto(request).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(refused([](Request& r) { r.set_page_size(-1); }), HasSubstr("page_size"));
  EXPECT_THAT(refused([](Request& r) { r.set_page_size(1'001); }), HasSubstr("page_size"));
  EXPECT_THAT(refused([](Request& r) {
                r.add_kinds(nom::market::v1::RESOURCE_KIND_CPU);
                r.add_kinds(static_cast<nom::market::v1::ResourceKind>(99));
              }),
              HasSubstr("kinds[1]"));
  for (const std::string token : {"7", "r", "r0", "r-1", "r1 ", "rr1", "r18446744073709551616",
                                  "r111111111111111111111111"}) {
    EXPECT_THAT(refused([&](Request& r) { r.set_page_token(token); }), HasSubstr("page_token"))
        << token;
  }
  EXPECT_THAT(refused([](Request& r) {
                r.set_first_round_id(5);
                r.set_last_round_id(4);
              }),
              HasSubstr("last_round_id"));
  EXPECT_THAT(refused([](Request& r) {
                r.mutable_since_time()->set_seconds(5);
                r.mutable_until_time()->set_seconds(5);
              }),
              HasSubstr("until_time"));
  for (const int64_t seconds :
       {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()}) {
    EXPECT_THAT(refused([&](Request& r) { r.mutable_since_time()->set_seconds(seconds); }),
                HasSubstr("since_time"));
  }
  EXPECT_THAT(refused([](Request& r) { r.mutable_until_time()->set_nanos(-1); }),
              HasSubstr("until_time"));
  // The ends of what may be said.
  Request request;
  request.set_first_round_id(~uint64_t{0});
  request.set_last_round_id(~uint64_t{0});
  request.set_page_token("r18446744073709551615");
  EXPECT_TRUE(FromProto(request).ok());
}

TEST(WorkerTest, BoundedAndDoesAllThatItTook) {
  std::atomic<int> done{0};
  {
    std::promise<void> go;
    std::promise<void> busy;
    Worker worker(/*queued_max=*/2);
    ASSERT_TRUE(worker.Post([&, waiting = go.get_future().share()] {
      busy.set_value();
      waiting.wait();
      ++done;
    }));
    busy.get_future().wait();
    EXPECT_TRUE(worker.Post([&] { ++done; }));
    EXPECT_TRUE(worker.Post([&] { ++done; }));
    EXPECT_FALSE(worker.Post([&] { ++done; }));
    go.set_value();
  }
  EXPECT_EQ(done, 3);
}

TEST(StatusTest, CodesAreTheSameAndMessagesAreCut) {
  for (int code = 0; code <= 16; ++code) {
    const grpc::Status status =
        ToGrpcStatus(absl::Status(static_cast<absl::StatusCode>(code), "what"));
    EXPECT_EQ(status.error_code(), code);
    EXPECT_EQ(status.error_message(), code == 0 ? "" : "what");
    EXPECT_EQ(CodeName(static_cast<grpc::StatusCode>(code)),
              absl::StatusCodeToString(static_cast<absl::StatusCode>(code)));
  }
  const grpc::Status status = ToGrpcStatus(absl::InternalError(std::string(1 << 20, 'x')));
  EXPECT_LT(status.error_message().size(), 4096u);
}

TEST(ConvertTest, Times) {
  const google::protobuf::Timestamp time = ToProto(absl::FromUnixNanos(-1));
  EXPECT_EQ(time.seconds(), -1);
  EXPECT_EQ(time.nanos(), 999'999'999);
  EXPECT_EQ(ToProto(absl::InfiniteFuture()).seconds(), 0);
}

TEST(ConvertTest, BidsKeepEveryNumber) {
  market_pb::PlaceBidRequest request;
  request.set_request_id("r");
  market_pb::Bid* const bid = request.mutable_bid();
  bid->set_guest_id(std::numeric_limits<uint64_t>::max());
  bid->set_kind(market_pb::RESOURCE_KIND_DEVICE);
  market_pb::BidRange* const range = bid->add_ranges();
  range->set_min_units(std::numeric_limits<int64_t>::min());
  range->set_max_units(std::numeric_limits<int64_t>::max());
  range->set_value_at_min_microcredits(-7);
  range->set_unit_price_microcredits(9);
  absl::StatusOr<market::PlaceBid> out = FromProto(request);
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ(out->guest_id, std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(out->kind, market::ResourceKind::kDevice);
  EXPECT_FALSE(out->budget_microcredits.has_value());
  ASSERT_EQ(out->ranges.size(), 1u);
  EXPECT_EQ(out->ranges[0].min_units, std::numeric_limits<int64_t>::min());
  EXPECT_EQ(out->ranges[0].max_units, std::numeric_limits<int64_t>::max());
  EXPECT_EQ(out->ranges[0].value_at_min_microcredits, -7);
  EXPECT_EQ(out->ranges[0].unit_price_microcredits, 9);
  bid->set_budget_microcredits(0);
  out = FromProto(request);
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ(out->budget_microcredits, 0) << "given, and nothing";
}

TEST(ConvertTest, EveryKindAndNoOther) {
  for (int kind = -2; kind < 20; ++kind) {
    const auto out = KindFromProto(static_cast<market_pb::ResourceKind>(kind), "bid.kind");
    EXPECT_EQ(out.ok(), kind >= 1 && kind <= 6) << kind;
    if (out.ok()) {
      EXPECT_EQ(ToProto(*out), kind);
    } else {
      EXPECT_THAT(std::string(out.status().message()), HasSubstr("bid.kind: "));
    }
  }
}

TEST(ConvertTest, ATenantSeesItsOwnOutcomesAndNoBorderPrice) {
  market::Round round;
  round.phase = market::RoundPhase::kReleased;
  round.prices.push_back({.highest_rejected_unit_price_microcredits = 5});
  round.outcomes.push_back({.guest_id = 1, .tenant_id = "alice"});
  round.outcomes.push_back({.guest_id = 2, .tenant_id = "bob"});
  const market_pb::Round alices =
      ToProto(round, market::Caller{.is_operator = false, .tenant_id = "alice"}, false);
  ASSERT_EQ(alices.outcomes_size(), 1);
  EXPECT_EQ(alices.outcomes(0).guest_id(), 1u);
  EXPECT_FALSE(alices.prices(0).has_highest_rejected_unit_price_microcredits());
  EXPECT_EQ(alices.phase(), market_pb::ROUND_PHASE_RELEASED);
  const market_pb::Round all = ToProto(round, market::Caller{.is_operator = true}, true);
  EXPECT_EQ(all.outcomes_size(), 2);
  EXPECT_EQ(all.prices(0).highest_rejected_unit_price_microcredits(), 5);
}

}  // namespace
}  // namespace nom::marketd
