// Who is who: tokens, and what happens without.

#include <unistd.h>

#include <csignal>
#include <string>

#include "tests/service/market_fixture.h"

namespace nom::testing {
namespace {

using ::grpc::StatusCode;

class AuthTest : public MarketTest {
 protected:
  static grpc::Status Account(const Client& client, market_pb::Account* account = nullptr) {
    market_pb::GetAccountResponse response;
    const grpc::Status status = client.market->GetAccount(client.Context().get(), {}, &response);
    if (account != nullptr) *account = response.account();
    return status;
  }
};

TEST_F(AuthTest, NoTokenAWrongTokenAndOddOnes) {
  for (const char* token : {"", "wrong-token-of-nobody"}) {
    const Client nobody(marketd_->grpc_address(), token);
    const char* const piece = *token == '\0' ? "no credential" : "not a token of this market";
    EXPECT_THAT(Account(nobody), Fails(StatusCode::UNAUTHENTICATED, piece));
    EXPECT_THAT(Deposit(nobody, "alice", 5, "d"), Fails(StatusCode::UNAUTHENTICATED, piece));
    EXPECT_THAT(
        PlaceBid(nobody, BidRequest(alices_guest_, market_pb::RESOURCE_KIND_CPU, 1, 30, "b")),
        Fails(StatusCode::UNAUTHENTICATED, piece));
    const auto context = nobody.Context();
    const auto reader = nobody.market->Watch(context.get(), market_pb::WatchRequest());
    market_pb::WatchResponse response;
    EXPECT_FALSE(reader->Read(&response));
    EXPECT_THAT(reader->Finish(), Fails(StatusCode::UNAUTHENTICATED, piece));
  }
  const Client nobody(marketd_->grpc_address(), "");
  for (const std::string value : {"Basic abc", "Bearer", "Bearer ", alice_->token.c_str()}) {
    const auto context = nobody.Context();
    context->AddMetadata("authorization", value);
    market_pb::GetAccountResponse response;
    EXPECT_THAT(nobody.market->GetAccount(context.get(), {}, &response),
                Fails(StatusCode::UNAUTHENTICATED, ""))
        << value;
  }
  const auto twice = alice_->Context();
  twice->AddMetadata("authorization", std::string("Bearer ") + kOperatorToken);
  market_pb::GetAccountResponse response;
  EXPECT_THAT(alice_->market->GetAccount(twice.get(), {}, &response),
              Fails(StatusCode::UNAUTHENTICATED, "more than once"));
}

TEST_F(AuthTest, TheMessageDoesNotSayWhoCalls) {
  market_pb::Account account;
  ASSERT_THAT(Account(*alice_, &account), Succeeds());
  EXPECT_EQ(account.tenant_id(), "alice");
  ASSERT_THAT(Account(*bob_, &account), Succeeds());
  EXPECT_EQ(account.tenant_id(), "bob");
}

TEST_F(AuthTest, TokensAreNotInTheLedgerNorInTheOutput) {
  ASSERT_EQ(marketd_->Terminate().code, 0);
  for (const char* file : {"ledger.sqlite", "ledger.sqlite-wal", "output"}) {
    const std::string content = ReadWholeFile(dir_.File(file));
    EXPECT_EQ(content.find(alice_->token), std::string::npos) << file;
    EXPECT_EQ(content.find(kOperatorToken), std::string::npos) << file;
  }
}

// A stream that began with a token ends with it.
TEST_F(AuthTest, AReplacedTokenEndsItsStreams) {
  const auto context = alice_->Context();
  const auto reader = alice_->market->Watch(context.get(), market_pb::WatchRequest());
  const auto bobs = bob_->Context();
  const auto bobs_reader = bob_->market->Watch(bobs.get(), market_pb::WatchRequest());
  market_pb::WatchResponse response;
  ASSERT_TRUE(reader->Read(&response));
  ASSERT_TRUE(bobs_reader->Read(&response));
  std::string token;
  ASSERT_THAT(CreateTenant(*operator_, "alice", "t1", &token), Succeeds());
  int more = 0;
  while (reader->Read(&response)) ++more;
  EXPECT_LE(more, 2) << "what was under way";
  EXPECT_THAT(reader->Finish(), Fails(StatusCode::UNAUTHENTICATED, "good no longer"));
  EXPECT_TRUE(bobs_reader->Read(&response)) << "who has nothing to do with it goes on";
  const Client alice(marketd_->grpc_address(), token);
  EXPECT_THAT(Account(alice), Succeeds());
}

TEST_F(AuthTest, TheOperatorsTokenCanBeReplacedWhileItRuns) {
  const auto context = operator_->Context();
  const auto reader = operator_->market->Watch(context.get(), market_pb::WatchRequest());
  market_pb::WatchResponse response;
  ASSERT_TRUE(reader->Read(&response));
  dir_.Write("token", "another-token-of-the-operator\n");
  marketd_->Signal(SIGHUP);
  while (reader->Read(&response)) {
  }
  EXPECT_THAT(reader->Finish(), Fails(StatusCode::UNAUTHENTICATED, "good no longer"));
  EXPECT_THAT(Deposit(*operator_, "alice", 1, "d9"), Fails(StatusCode::UNAUTHENTICATED, ""));
  const Client anew(marketd_->grpc_address(), "another-token-of-the-operator");
  EXPECT_THAT(Deposit(anew, "alice", 1, "d9"), Succeeds());
  // Without a signal: the file is looked at. And what is no token changes nothing.
  dir_.Write("token", "short\n");
  while (marketd_->Output().find("event=reload_failed") == std::string::npos) ::usleep(10'000);
  EXPECT_THAT(Deposit(anew, "alice", 1, "d10"), Succeeds());
}

TEST_F(AuthTest, TokensOutliveARestart) {
  ASSERT_EQ(marketd_->Terminate().code, 0);
  ASSERT_TRUE(marketd_->Start().ok());
  const Client alice(marketd_->grpc_address(), alice_->token);
  EXPECT_THAT(Account(alice), Succeeds());
}

}  // namespace
}  // namespace nom::testing
