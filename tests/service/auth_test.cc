// Who is who: tokens, client certificates, and what happens without.

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
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

TEST_F(AuthTest, TokensOutliveARestart) {
  ASSERT_EQ(marketd_->Terminate().code, 0);
  ASSERT_TRUE(marketd_->Start().ok());
  const Client alice(marketd_->grpc_address(), alice_->token);
  EXPECT_THAT(Account(alice), Succeeds());
}

// A small certificate authority.
class TlsTest : public ::testing::Test {
 protected:
  void Openssl(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "/usr/bin/openssl");
    const Exit exit = RunToEnd(arguments);
    ASSERT_EQ(exit.code, 0) << exit.out;
  }

  void MakeAuthority(const std::string& name) const {
    Openssl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-days", "2", "-subj", "/CN=" + name, "-keyout", dir_.File(name + ".key"), "-out",
             dir_.File(name + ".pem")});
  }

  void MakeCertificate(const std::string& authority, const std::string& name) const {
    Openssl({"req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
             "/CN=" + name, "-keyout", dir_.File(name + ".key"), "-out", dir_.File(name + ".csr")});
    dir_.Write(name + ".ext", "subjectAltName=DNS:" + name + "\n");
    Openssl({"x509", "-req", "-in", dir_.File(name + ".csr"), "-CA", dir_.File(authority + ".pem"),
             "-CAkey", dir_.File(authority + ".key"), "-CAcreateserial", "-days", "2", "-extfile",
             dir_.File(name + ".ext"), "-out", dir_.File(name + ".pem")});
  }

  std::string Config(bool client_ca) const {
    return absl::StrReplaceAll(
        SampleConfig(dir_),
        {{"plaintext: true\n",
          absl::StrCat(
              "tls:\n  cert: ", dir_.File("server.pem"), "\n  key: ", dir_.File("server.key"),
              client_ca ? absl::StrCat("\n  client_ca: ", dir_.File("tenants.pem")) : "", "\n")}});
  }

  std::shared_ptr<grpc::ChannelCredentials> Credentials(const std::string& certificate) const {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = ReadWholeFile(dir_.File("authority.pem"));
    if (!certificate.empty()) {
      options.pem_cert_chain = ReadWholeFile(dir_.File(certificate + ".pem"));
      options.pem_private_key = ReadWholeFile(dir_.File(certificate + ".key"));
    }
    return grpc::SslCredentials(options);
  }

  Client Connect(const MarketdProcess& marketd, const std::string& token,
                 const std::string& certificate) const {
    return Client(marketd.grpc_address(), token, Credentials(certificate), "server");
  }

  static grpc::Status Account(const Client& client, market_pb::Account* account = nullptr) {
    market_pb::GetAccountResponse response;
    const grpc::Status status = client.market->GetAccount(client.Context().get(), {}, &response);
    if (account != nullptr) *account = response.account();
    return status;
  }

  void SetUp() override {
    MakeAuthority("authority");
    MakeCertificate("authority", "server");
    MakeAuthority("tenants");
    for (const char* name : {"alice", "bob", "nobody", "root"}) MakeCertificate("tenants", name);
    MakeAuthority("others");
  }

  const TempDir dir_;
};

TEST_F(TlsTest, TokensOverTls) {
  MarketdProcess marketd(dir_, Config(/*client_ca=*/false));
  ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();
  const Client op = Connect(marketd, kOperatorToken, "");
  std::string token;
  ASSERT_THAT(CreateTenant(op, "alice", "t1", &token), Succeeds());
  EXPECT_THAT(Account(Connect(marketd, token, "")), Succeeds());
  // A certificate that nobody asked for proves nothing.
  EXPECT_THAT(Account(Connect(marketd, "", "alice")),
              Fails(StatusCode::UNAUTHENTICATED, "no credential"));
  // No TLS, no talk.
  const Client plain(marketd.grpc_address(), kOperatorToken);
  EXPECT_THAT(Deposit(plain, "alice", 1, "d"), Fails(StatusCode::UNAVAILABLE, ""));
}

TEST_F(TlsTest, TheCertificateNamesTheTenant) {
  MarketdProcess marketd(dir_, Config(/*client_ca=*/true));
  ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();
  // The operator's token works over any connection that the server lets in.
  const Client op = Connect(marketd, kOperatorToken, "root");
  std::string token;
  ASSERT_THAT(CreateTenant(op, "alice", "t1", &token), Succeeds());
  ASSERT_THAT(CreateTenant(op, "bob", "t2", nullptr), Succeeds());

  market_pb::Account account;
  EXPECT_THAT(Account(Connect(marketd, "", "alice"), &account), Succeeds());
  EXPECT_EQ(account.tenant_id(), "alice");
  EXPECT_THAT(Account(Connect(marketd, token, "alice"), &account), Succeeds());
  EXPECT_EQ(account.tenant_id(), "alice");
  EXPECT_THAT(Account(Connect(marketd, token, "bob")),
              Fails(StatusCode::UNAUTHENTICATED, "another tenant"));
  EXPECT_THAT(Account(Connect(marketd, "", "nobody")),
              Fails(StatusCode::UNAUTHENTICATED, "\"nobody\" is no tenant"));
  EXPECT_THAT(Deposit(Connect(marketd, "", "alice"), "alice", 1, "d"),
              Fails(StatusCode::PERMISSION_DENIED, "operator"));
  // Signed by somebody else, or none at all: not even a connection.
  MakeCertificate("others", "alice");
  EXPECT_THAT(Account(Connect(marketd, token, "alice")), Fails(StatusCode::UNAVAILABLE, ""));
  EXPECT_THAT(Account(Connect(marketd, token, "")), Fails(StatusCode::UNAVAILABLE, ""));
}

TEST_F(TlsTest, BadKeyMaterialIsAConfigurationError) {
  const std::string config = dir_.Write("c.yaml", Config(/*client_ca=*/true));
  const std::vector<std::string> check = {NOM_MARKETD, "--check", "--config", config};
  ASSERT_EQ(RunToEnd(check).code, 0) << RunToEnd(check).out;
  const std::string key = ReadWholeFile(dir_.File("server.key"));

  dir_.Write("server.key", ReadWholeFile(dir_.File("bob.key")));
  Exit exit = RunToEnd(check);
  EXPECT_EQ(exit.code, 2);
  EXPECT_THAT(exit.out, ::testing::HasSubstr("server.key: is not the key of the certificate in"));

  dir_.Write("server.key", "nonsense");
  exit = RunToEnd(check);
  EXPECT_EQ(exit.code, 2);
  EXPECT_THAT(exit.out, ::testing::HasSubstr("server.key: holds no PEM private key"));

  dir_.Write("server.key", key);
  dir_.Write("tenants.pem", "");
  exit = RunToEnd(check);
  EXPECT_EQ(exit.code, 2);
  EXPECT_THAT(exit.out, ::testing::HasSubstr("tenants.pem: holds no PEM certificate"));
}

}  // namespace
}  // namespace nom::testing
