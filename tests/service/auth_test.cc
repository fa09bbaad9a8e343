// SPDX-License-Identifier: Apache-2.0
// Who is who: tokens, and what happens without.

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/net/sockets.h"
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

// An operator is asked why somebody does not get in.
TEST_F(AuthTest, WhoIsRefusedIsInTheLog) {
  const Client stranger(marketd_->grpc_address(), "wrong-token-of-nobody");
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(Account(stranger), Fails(StatusCode::UNAUTHENTICATED, ""));
    EXPECT_THAT(Deposit(*alice_, "alice", 5, "d"), Fails(StatusCode::PERMISSION_DENIED, ""));
  }
  EXPECT_THAT(Account(Client(marketd_->grpc_address(), "")),
              Fails(StatusCode::UNAUTHENTICATED, ""));
  const std::string log = marketd_->Output();
  const std::string refused = "level=warning event=calls_refused by=";
  for (const std::string& line :
       {refused + "stranger what=token calls=1 msg=\"authorization: not a token of this market\"\n",
        refused + "stranger what=credential calls=1 msg=\"no credential: ",
        refused + "alice what=operator_calls calls=1 msg=\"this call is for operators\"\n"}) {
    const size_t at = log.find(line);
    ASSERT_NE(at, std::string::npos) << line << log;
    EXPECT_EQ(log.find(line, at + 1), std::string::npos) << "one line a minute";
  }
  EXPECT_EQ(log.find("wrong-token"), std::string::npos) << "it may be somebody's, mistyped";
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

// A proxy that writes down all that it is sent, lets everything through, and connects to nothing.
class EvilProxy {
 public:
  EvilProxy() : listener_(ListenOnLoopback(&address_)), thread_([this] { Run(); }) {}
  ~EvilProxy() {
    ::shutdown(listener_.fd(), SHUT_RDWR);
    thread_.join();
  }
  const std::string& address() const { return address_; }
  std::string heard() const {
    std::lock_guard lock(mutex_);
    return heard_;
  }

 private:
  void Run() {
    for (;;) {
      const Socket caller(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
      if (caller.fd() < 0) return;
      char buffer[4096];
      ssize_t got = 0;
      while ((got = ::recv(caller.fd(), buffer, sizeof buffer, 0)) > 0) {
        const bool is_first = heard().empty();
        {
          std::lock_guard lock(mutex_);
          heard_.append(buffer, static_cast<size_t>(got));
        }
        const std::string answer = "HTTP/1.1 200 OK\r\n\r\n";
        if (is_first) (void)::send(caller.fd(), answer.data(), answer.size(), MSG_NOSIGNAL);
      }
    }
  }

  std::string address_;
  const Socket listener_;
  mutable std::mutex mutex_;
  std::string heard_;
  std::thread thread_;
};

// With nomctl, as an operator whose shell has a proxy for the world outside.
TEST_F(AuthTest, NoProxyGetsTheTokenOfAMarketOnThisMachineNorAnyInPlainText) {
  const TempDir other;
  MarketdProcess on_socket(
      other,
      absl::StrReplaceAll(SampleConfig(other),
                          {{"listen: 127.0.0.1:0\nplaintext",
                            absl::StrCat("listen: unix:", other.File("socket"), "\nplaintext")}}));
  ASSERT_TRUE(on_socket.Start().ok()) << on_socket.Output();
  const EvilProxy proxy;
  const auto list = [&](const std::string& target, const std::string& roots) {
    std::vector<std::string> command = {"/usr/bin/env", "-u", "no_proxy"};
    for (const char* name : {"http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY"}) {
      command.push_back(absl::StrCat(name, "=http://", proxy.address()));
    }
    for (const std::string& word :
         {std::string(NOM_NOMCTL), std::string("--target"), target, std::string("--token-file"),
          dir_.File("token"), std::string("--timeout"), std::string("5")}) {
      command.push_back(word);
    }
    if (!roots.empty()) command.insert(command.end(), {"--tls-roots", roots});
    command.insert(command.end(), {"tenant", "list"});
    return RunToEnd(command);
  };
  const std::string address = marketd_->grpc_address();
  const std::string port = address.substr(address.rfind(':'));
  for (const std::string& target :
       {address, "localhost" + port, "dns:///localhost" + port, on_socket.grpc_address()}) {
    const Exit exit = list(target, "");
    EXPECT_EQ(exit.code, 0) << target << exit.out;
  }
  EXPECT_EQ(proxy.heard(), "");
  // Elsewhere a proxy is used, and sees where to, and no more: not even if it passes itself off as
  // the market.
  const std::string roots = dir_.File("roots.pem");
  ASSERT_EQ(RunToEnd({"/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                      "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=any",
                      "-keyout", dir_.File("roots.key"), "-out", roots})
                .code,
            0);
  EXPECT_EQ(list("192.0.2.1:7070", roots).code, 1);  // RFC 5737: nobody's address.
  EXPECT_THAT(proxy.heard(), ::testing::StartsWith("CONNECT 192.0.2.1:7070 "));
  EXPECT_THAT(proxy.heard(), ::testing::Not(::testing::HasSubstr(kOperatorToken)));
}

// What is wrong with a file that changes is said, and nothing else comes of it.
TEST_F(AuthTest, AFileThatIsWrongChangesNothingAndLimitsAreTakenWithoutARestart) {
  const std::string good = ReadWholeFile(dir_.File("marketd.yaml"));
  const auto wait_for = [&](const std::string& piece) {
    while (marketd_->Output().find(piece) == std::string::npos) ::usleep(10'000);
  };
  dir_.Write("marketd.yaml", "hosts: [\n");
  marketd_->Signal(SIGHUP);
  wait_for("event=reload_failed cause=SIGHUP msg=\"nothing changed: ");
  ASSERT_EQ(::unlink(dir_.File("marketd.yaml").c_str()), 0);  // Looked at by itself.
  wait_for("event=reload_failed cause=\"file changed\"");
  EXPECT_THAT(Account(*alice_), Succeeds());
  EXPECT_EQ(::access(dir_.File("ready").c_str(), R_OK), 0) << "it is as ready as before";
  // What could be waited for for ever, and what never ends.
  ASSERT_EQ(::mkfifo(dir_.File("marketd.yaml").c_str(), 0600), 0);
  wait_for("marketd.yaml: is not a file");
  ASSERT_EQ(::unlink(dir_.File("marketd.yaml").c_str()), 0);
  ASSERT_EQ(::symlink("/dev/zero", dir_.File("marketd.yaml").c_str()), 0);
  marketd_->Signal(SIGHUP);
  EXPECT_THAT(Account(*alice_), Succeeds());
  ASSERT_EQ(::unlink(dir_.File("marketd.yaml").c_str()), 0);
  dir_.Write("marketd.yaml", good +
                                 "limits: {bids_per_second: 1, bids_burst: 1, watches_max: 3, "
                                 "watches_per_tenant_max: 1}\n");
  marketd_->Signal(SIGHUP);
  wait_for("event=reloaded");
  grpc::Status status;
  for (int i = 0; i < 1'000 && status.ok(); ++i) {
    status = PlaceBid(*alice_, BidRequest(alices_guest_, market_pb::RESOURCE_KIND_CPU, 1, 30,
                                          "b" + std::to_string(i)));
  }
  EXPECT_THAT(status, Fails(StatusCode::RESOURCE_EXHAUSTED, "too many bids a second"));
  const auto first = alice_->Context();
  const auto first_reader = alice_->market->Watch(first.get(), market_pb::WatchRequest());
  const auto second = alice_->Context();
  market_pb::WatchResponse response;
  ASSERT_TRUE(first_reader->Read(&response));
  const auto second_reader = alice_->market->Watch(second.get(), market_pb::WatchRequest());
  EXPECT_FALSE(second_reader->Read(&response));
  EXPECT_THAT(second_reader->Finish(),
              Fails(StatusCode::RESOURCE_EXHAUSTED, "too many open watches of this caller"));
  EXPECT_NE(marketd_->Output().find("event=calls_refused by=alice what=watches calls=1 "),
            std::string::npos);
  EXPECT_EQ(marketd_->Output().find("restart_needed_for"), std::string::npos);
  first->TryCancel();
}

TEST_F(AuthTest, TokensOutliveARestart) {
  ASSERT_EQ(marketd_->Terminate().code, 0);
  ASSERT_TRUE(marketd_->Start().ok());
  const Client alice(marketd_->grpc_address(), alice_->token);
  EXPECT_THAT(Account(alice), Succeeds());
}

}  // namespace
}  // namespace nom::testing
