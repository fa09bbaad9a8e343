// SPDX-License-Identifier: Apache-2.0
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
  market_pb::CreateTokenRequest TokenRequest(const std::string& label) {
    market_pb::CreateTokenRequest request;
    request.set_label(label);
    request.set_request_id(label);
    return request;
  }
  static grpc::Status CreateToken(const Client& client,
                                  const market_pb::CreateTokenRequest& request,
                                  market_pb::CreateTokenResponse* response) {
    return client.market->CreateToken(client.Context().get(), request, response);
  }
  static grpc::Status RevokeToken(const Client& client, uint64_t token_id,
                                  const std::string& tenant_id = "") {
    market_pb::RevokeTokenRequest request;
    market_pb::RevokeTokenResponse response;
    request.set_tenant_id(tenant_id);
    request.set_token_id(token_id);
    request.set_request_id("revoke-" + std::to_string(token_id));
    return client.market->RevokeToken(client.Context().get(), request, &response);
  }
  static market_pb::ListTokensResponse Tokens(const Client& client,
                                              const std::string& tenant_id = "") {
    market_pb::ListTokensRequest request;
    market_pb::ListTokensResponse response;
    request.set_tenant_id(tenant_id);
    const grpc::Status status =
        client.market->ListTokens(client.Context().get(), request, &response);
    EXPECT_THAT(status, Succeeds());
    return response;
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
  market_pb::CreateTokenResponse second;
  ASSERT_THAT(CreateToken(*alice_, TokenRequest("second"), &second), Succeeds());
  ASSERT_EQ(marketd_->Terminate().code, 0);
  for (const char* file : {"ledger.sqlite", "ledger.sqlite-wal", "output"}) {
    const std::string content = ReadWholeFile(dir_.File(file));
    EXPECT_EQ(content.find(alice_->token), std::string::npos) << file;
    EXPECT_EQ(content.find(second.token()), std::string::npos) << file;
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

TEST_F(AuthTest, ATenantHasSeveralTokensAndARevokedOneEndsItsStreamsAlone) {
  market_pb::CreateTokenResponse made;
  ASSERT_THAT(CreateToken(*alice_, TokenRequest("laptop"), &made), Succeeds());
  EXPECT_EQ(made.token_id(), 2u);
  const Client laptop(marketd_->grpc_address(), made.token());
  market_pb::Account account;
  ASSERT_THAT(Account(laptop, &account), Succeeds());
  EXPECT_EQ(account.tenant_id(), "alice");
  market_pb::ListTokensResponse tokens = Tokens(laptop);
  ASSERT_EQ(tokens.tokens_size(), 2);
  EXPECT_EQ(tokens.tokens(1).label(), "laptop");
  EXPECT_TRUE(tokens.tokens(1).shown());
  EXPECT_FALSE(tokens.tokens(0).shown());
  EXPECT_FALSE(tokens.tokens(1).has_expire_time());
  EXPECT_EQ(tokens.ShortDebugString().find(made.token()), std::string::npos);

  const auto context = alice_->Context();
  const auto reader = alice_->market->Watch(context.get(), market_pb::WatchRequest());
  const auto others = laptop.Context();
  const auto others_reader = laptop.market->Watch(others.get(), market_pb::WatchRequest());
  market_pb::WatchResponse response;
  ASSERT_TRUE(reader->Read(&response));
  ASSERT_TRUE(others_reader->Read(&response));
  ASSERT_THAT(RevokeToken(laptop, 1), Succeeds());
  while (reader->Read(&response)) {
  }
  EXPECT_THAT(reader->Finish(), Fails(StatusCode::UNAUTHENTICATED, "good no longer"));
  EXPECT_THAT(
      PlaceBid(*alice_, BidRequest(alices_guest_, market_pb::RESOURCE_KIND_CPU, 1, 30, "b")),
      Fails(StatusCode::UNAUTHENTICATED, ""));
  EXPECT_TRUE(others_reader->Read(&response));
  EXPECT_THAT(PlaceBid(laptop, BidRequest(alices_guest_, market_pb::RESOURCE_KIND_CPU, 1, 30, "b")),
              Succeeds());

  ASSERT_EQ(marketd_->Terminate().code, 0);
  ASSERT_TRUE(marketd_->Start().ok());
  const Client first(marketd_->grpc_address(), alice_->token);
  const Client second(marketd_->grpc_address(), made.token());
  EXPECT_THAT(Account(first), Fails(StatusCode::UNAUTHENTICATED, "not a token")) << "for ever";
  EXPECT_THAT(Account(second), Succeeds());
  for (const char* line : {"event=token_created by=alice ", "event=token_revoked by=alice "}) {
    EXPECT_NE(marketd_->Output().find(line), std::string::npos) << line;
  }
}

TEST_F(AuthTest, TokensOfOthersAreTheOperatorsAlone) {
  market_pb::CreateTokenResponse made;
  market_pb::CreateTokenRequest request = TokenRequest("x");
  request.set_tenant_id("bob");
  EXPECT_THAT(CreateToken(*alice_, request, &made), Fails(StatusCode::NOT_FOUND, "tenant_id"));
  EXPECT_THAT(RevokeToken(*alice_, 1, "bob"), Fails(StatusCode::NOT_FOUND, "tenant_id"));
  market_pb::ListTokensRequest list;
  market_pb::ListTokensResponse tokens;
  list.set_tenant_id("bob");
  EXPECT_THAT(alice_->market->ListTokens(alice_->Context().get(), list, &tokens),
              Fails(StatusCode::NOT_FOUND, "tenant_id"));
  EXPECT_THAT(CreateToken(*operator_, TokenRequest("x"), &made),
              Fails(StatusCode::INVALID_ARGUMENT, "tenant_id: an operator must say whose"));
  ASSERT_THAT(CreateToken(*operator_, request, &made), Succeeds());
  EXPECT_THAT(Account(Client(marketd_->grpc_address(), made.token())), Succeeds());
  EXPECT_EQ(Tokens(*operator_, "bob").tokens_size(), 2);
  // Twice under one id: another token in its place.
  const std::string lost = made.token();
  ASSERT_THAT(CreateToken(*operator_, request, &made), Succeeds());
  EXPECT_EQ(made.token_id(), 2u);
  EXPECT_EQ(Tokens(*operator_, "bob").tokens_size(), 2);
  EXPECT_THAT(Account(Client(marketd_->grpc_address(), lost)),
              Fails(StatusCode::UNAUTHENTICATED, ""));
  ASSERT_THAT(RevokeToken(*operator_, 1, "bob"), Succeeds());
  EXPECT_THAT(Account(*bob_), Fails(StatusCode::UNAUTHENTICATED, ""));
}

TEST_F(AuthTest, AReadOnlyTokenLooksAndAnExpiredOneDoesNot) {
  market_pb::CreateTokenRequest request = TokenRequest("dashboard");
  request.set_scope(market_pb::TOKEN_SCOPE_READ_ONLY);
  request.set_lifetime_seconds(3);
  market_pb::CreateTokenResponse made;
  ASSERT_THAT(CreateToken(*alice_, request, &made), Succeeds());
  const Client dashboard(marketd_->grpc_address(), made.token());
  const auto context = dashboard.Context();
  const auto reader = dashboard.market->Watch(context.get(), market_pb::WatchRequest());
  market_pb::WatchResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.guests_size(), 1) << "it sees what its tenant sees";
  // Both at the first moment: it ends in three seconds, and a slow machine may be there already.
  const grpc::Status bid =
      PlaceBid(dashboard, BidRequest(alices_guest_, market_pb::RESOURCE_KIND_CPU, 1, 30, "b"));
  EXPECT_TRUE(bid.error_code() == StatusCode::PERMISSION_DENIED ||
              bid.error_code() == StatusCode::UNAUTHENTICATED)
      << bid.error_message();
  while (reader->Read(&response)) {
  }
  EXPECT_THAT(reader->Finish(), Fails(StatusCode::UNAUTHENTICATED, "good no longer"));
  EXPECT_THAT(Account(dashboard), Fails(StatusCode::UNAUTHENTICATED, "has expired"));
  const market_pb::ListTokensResponse tokens = Tokens(*alice_);
  ASSERT_EQ(tokens.tokens_size(), 2);
  EXPECT_TRUE(tokens.tokens(1).expired());

  market_pb::CreateTokenRequest for_ever = TokenRequest("look");
  for_ever.set_scope(market_pb::TOKEN_SCOPE_READ_ONLY);
  ASSERT_THAT(CreateToken(*alice_, for_ever, &made), Succeeds());
  const Client look(marketd_->grpc_address(), made.token());
  EXPECT_THAT(Account(look), Succeeds());
  EXPECT_THAT(PlaceBid(look, BidRequest(alices_guest_, market_pb::RESOURCE_KIND_CPU, 1, 30, "b")),
              Fails(StatusCode::PERMISSION_DENIED, "may look"));
  EXPECT_THAT(CreateToken(look, TokenRequest("more"), &made),
              Fails(StatusCode::PERMISSION_DENIED, "may look"));
  EXPECT_THAT(RevokeToken(look, 1), Fails(StatusCode::PERMISSION_DENIED, "may look"));
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
