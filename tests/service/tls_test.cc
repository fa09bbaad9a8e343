// SPDX-License-Identifier: Apache-2.0
// TLS: tokens over it, client certificates, and both of them changing under a running market.

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "nom/session.h"
#include "tests/service/market_fixture.h"

namespace nom::testing {
namespace {

using ::grpc::StatusCode;
using ::testing::HasSubstr;

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

  void MakeCertificate(const std::string& authority, const std::string& name,
                       const std::string& key = "ec") const {
    std::vector<std::string> request = {"req",     "-newkey",
                                        key,       "-nodes",
                                        "-subj",   "/CN=" + name,
                                        "-keyout", dir_.File(name + ".key"),
                                        "-out",    dir_.File(name + ".csr")};
    if (key == "ec") request.insert(request.end(), {"-pkeyopt", "ec_paramgen_curve:prime256v1"});
    Openssl(request);
    dir_.Write(name + ".ext", "subjectAltName=DNS:" + name + ",DNS:localhost\n");
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

TEST_F(TlsTest, AKeyThatOthersCanReadIsNone) {
  const std::string config = dir_.Write("c.yaml", Config(/*client_ca=*/false));
  ::chmod(dir_.File("server.key").c_str(), 0644);
  const Exit exit = RunToEnd({NOM_MARKETD, "--check", "--config", config});
  EXPECT_EQ(exit.code, 2);
  EXPECT_THAT(exit.out, HasSubstr("server.key: others than its owner may use it; chmod 600 it"));
}

// What a handshake would fail with is said before: by a check, a start and a reload.
TEST_F(TlsTest, AKeyThatNoHandshakeTakesIsAConfigurationError) {
  const std::string config = dir_.Write("c.yaml", Config(/*client_ca=*/false));
  MakeCertificate("authority", "server", "rsa:2048");
  EXPECT_EQ(RunToEnd({NOM_MARKETD, "--check", "--config", config}).code, 0);
  MakeCertificate("authority", "server", "rsa:1024");
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{NOM_MARKETD, "--check", "--config", config},
        std::vector<std::string>{NOM_MARKETD, "--config", config}}) {
    const Exit exit = RunToEnd(command);
    EXPECT_EQ(exit.code, 2);
    EXPECT_THAT(exit.out, HasSubstr("server.pem: no connection can be made with it: ee key too"));
  }
}

// Whoever forgot --tls-roots, gave it where there is no TLS, or mixed up two addresses is told so,
// in one kind of message.
TEST_F(TlsTest, NomctlSaysWhatAnswersInPlaceOfAMarket) {
  MarketdProcess marketd(dir_, Config(/*client_ca=*/false));
  ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();
  const TempDir plain_dir;
  MarketdProcess plain(plain_dir, SampleConfig(plain_dir));
  ASSERT_TRUE(plain.Start().ok()) << plain.Output();
  const std::string roots = dir_.File("authority.pem");
  for (const auto& [target, with_roots, words] :
       std::vector<std::tuple<std::string, std::string, std::string>>{
           {marketd.grpc_address(), "", "if the market speaks TLS, say so with --tls-roots FILE"},
           {plain.grpc_address(), roots, "or the market speaks without TLS"},
           {plain.metrics_address(), "", "something else than a market answers there"}}) {
    const Exit exit = RunToEnd(
        {NOM_NOMCTL, "--target", target, "--tls-roots", with_roots, "--timeout", "20", "status"});
    EXPECT_EQ(exit.code, 1) << exit.out;
    EXPECT_THAT(exit.out, ::testing::StartsWith(absl::StrCat("nomctl: ", target, ": ")));
    EXPECT_THAT(exit.out, HasSubstr(words));
  }
}

// An authority that keeps books, so that it can revoke, and date certificates as it likes.
class MutualTlsTest : public TlsTest {
 protected:
  void SetUp() override {
    MakeAuthority("authority");
    MakeCertificate("authority", "server");
    MakeAuthority("tenants");
    MakeAuthority("others");
    dir_.Write("index.txt", "");
    dir_.Write("serial", "01\n");
    dir_.Write("crlnumber", "01\n");
    dir_.Write("ca.cnf", absl::StrCat(R"(
[ca]
default_ca = books
[books]
database = )",
                                      dir_.File("index.txt"), "\nserial = ", dir_.File("serial"),
                                      "\ncrlnumber = ", dir_.File("crlnumber"),
                                      "\nnew_certs_dir = ", dir_.path(), R"(
default_md = sha256
default_days = 2
default_crl_days = 2
policy = any
unique_subject = no
[any]
commonName = supplied
)"));
  }

  std::vector<std::string> Ca(std::vector<std::string> arguments) const {
    std::vector<std::string> out = {"ca",       "-batch",
                                    "-config",  dir_.File("ca.cnf"),
                                    "-cert",    dir_.File("tenants.pem"),
                                    "-keyfile", dir_.File("tenants.key")};
    out.insert(out.end(), arguments.begin(), arguments.end());
    return out;
  }

  // Files `file`.key and .pem of a certificate for `name`.
  void Issue(const std::string& file, const std::string& name, absl::Time not_after,
             absl::Time not_before = absl::FromUnixSeconds(1'577'836'800)) const {
    const auto text = [](absl::Time time) {
      return absl::FormatTime("%Y%m%d%H%M%SZ", time, absl::UTCTimeZone());
    };
    Openssl({"req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
             "/CN=" + name, "-keyout", dir_.File(file + ".key"), "-out", dir_.File(file + ".csr")});
    Openssl(Ca({"-in", dir_.File(file + ".csr"), "-out", dir_.File(file + ".pem"), "-notext",
                "-startdate", text(not_before), "-enddate", text(not_after)}));
  }
  void WriteRevocations() const { Openssl(Ca({"-gencrl", "-out", dir_.File("crl.pem")})); }

  std::string ConfigWithRevocations() const {
    return absl::StrReplaceAll(
        Config(/*client_ca=*/true),
        {{"tenants.pem\n",
          absl::StrCat("tenants.pem\n  client_crl: ", dir_.File("crl.pem"), "\n")}});
  }

  static std::string Target(const MarketdProcess& marketd) {
    return "localhost" + marketd.grpc_address().substr(marketd.grpc_address().rfind(':'));
  }

  SessionOptions Options(const MarketdProcess& marketd, const std::string& certificate) const {
    SessionOptions options;
    options.target = Target(marketd);
    options.tls_roots_file = dir_.File("authority.pem");
    options.tls_cert_file = dir_.File(certificate + ".pem");
    options.tls_key_file = dir_.File(certificate + ".key");
    options.host_id = "sim";
    return options;
  }

  Exit Nomctl(const MarketdProcess& marketd, const std::string& certificate,
              std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(),
                     {NOM_NOMCTL, "--target", Target(marketd), "--tls-roots",
                      dir_.File("authority.pem"), "--tls-cert", dir_.File(certificate + ".pem"),
                      "--tls-key", dir_.File(certificate + ".key")});
    return RunToEnd(arguments);
  }
};

TEST_F(MutualTlsTest, OperatorsAndSessionsGetInAndTheExpiredForeignAndRevokedDoNot) {
  const absl::Time later = absl::Now() + absl::Hours(24);
  for (const char* name : {"operator", "alice"}) Issue(name, name, later);
  Issue("expired", "alice", absl::Now() - absl::Hours(1));
  Issue("revoked", "alice", later);
  MakeCertificate("others", "foreign");
  Openssl(Ca({"-revoke", dir_.File("revoked.pem")}));
  WriteRevocations();
  MarketdProcess marketd(dir_, ConfigWithRevocations());
  ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();

  // The operator: a certificate to get in, its token to be the operator.
  Exit exit = Nomctl(marketd, "operator",
                     {"--token-file", dir_.File("token"), "tenant", "create", "alice"});
  EXPECT_EQ(exit.code, 0) << exit.out;
  exit = Nomctl(marketd, "alice", {"account"});
  EXPECT_EQ(exit.code, 0) << exit.out;
  EXPECT_THAT(exit.out, HasSubstr("alice"));
  {
    const auto session = Session::Connect(Options(marketd, "alice"));
    ASSERT_TRUE(session.ok()) << session.status();
    EXPECT_TRUE((*session)->account().has_value());
  }
  const auto revoked = Session::Connect(Options(marketd, "revoked"));
  EXPECT_EQ(revoked.status().code(), absl::StatusCode::kUnauthenticated) << revoked.status();
  EXPECT_THAT(std::string(revoked.status().message()), HasSubstr("revoked"));
  exit = Nomctl(marketd, "revoked", {"account"});
  EXPECT_EQ(exit.code, 1);
  EXPECT_THAT(exit.out, HasSubstr("client certificate: it was revoked"));
  for (const char* nobody : {"expired", "foreign"}) {
    exit = Nomctl(marketd, nobody, {"--timeout", "5", "account"});
    EXPECT_EQ(exit.code, 1) << nobody << exit.out;
    EXPECT_THAT(exit.out, HasSubstr("unavailable")) << "not even a connection";
  }
}

TEST_F(MutualTlsTest, AStreamEndsWhenItsCertificateExpiresOrIsRevoked) {
  Issue("alice", "alice", absl::Now() + absl::Hours(24));
  WriteRevocations();
  MarketdProcess marketd(dir_, ConfigWithRevocations());
  ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();
  Issue("root", "root", absl::Now() + absl::Hours(24));
  ASSERT_THAT(CreateTenant(Connect(marketd, kOperatorToken, "root"), "alice", "t1", nullptr),
              Succeeds());
  Issue("short", "alice", absl::Now() + absl::Seconds(3));
  const Client brief = Connect(marketd, "", "short");
  const Client alice = Connect(marketd, "", "alice");
  const auto briefly = brief.Context();
  const auto context = alice.Context();
  const auto brief_reader = brief.market->Watch(briefly.get(), market_pb::WatchRequest());
  const auto reader = alice.market->Watch(context.get(), market_pb::WatchRequest());
  market_pb::WatchResponse response;
  ASSERT_TRUE(brief_reader->Read(&response));
  ASSERT_TRUE(reader->Read(&response));
  while (brief_reader->Read(&response)) {
  }
  EXPECT_THAT(brief_reader->Finish(), Fails(StatusCode::UNAUTHENTICATED, "it expired at"));
  ASSERT_TRUE(reader->Read(&response)) << "the other goes on";
  Openssl(Ca({"-revoke", dir_.File("alice.pem")}));
  WriteRevocations();  // Looked at by itself: no signal.
  while (reader->Read(&response)) {
  }
  EXPECT_THAT(reader->Finish(), Fails(StatusCode::UNAUTHENTICATED, "revoked"));
}

// Callers would be turned away by their own side: a check says so. The market itself goes on, for
// hosts and guests need no certificate, and takes the next one as it comes.
TEST_F(MutualTlsTest, ACertificateThatIsOutOfDateIsToldAndTheMarketGoesOn) {
  const absl::Time now = absl::Now();
  const std::string config = Config(/*client_ca=*/true);
  const auto check = [&] {
    return RunToEnd({NOM_MARKETD, "--check", "--config", dir_.Write("c.yaml", config)});
  };
  const auto expect_refused = [&](const std::string& why) {
    const Exit exit = check();
    EXPECT_EQ(exit.code, 2) << why;
    EXPECT_THAT(exit.out, HasSubstr(why));
  };
  EXPECT_EQ(check().code, 0) << check().out;
  Issue("server", "localhost", now + absl::Hours(48), now + absl::Hours(24));
  expect_refused("server.pem: its certificate is not good before ");
  Issue("server", "localhost", now - absl::Hours(1));
  expect_refused("server.pem: its certificate expired at ");
  MarketdProcess marketd(dir_, config);
  ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();
  EXPECT_THAT(marketd.Output(), HasSubstr("event=certificate_out_of_date"));

  // An authority of the server's that has expired is as bad.
  const std::string expired = ReadWholeFile(dir_.File("server.pem"));
  MakeCertificate("authority", "server");
  const std::string good = ReadWholeFile(dir_.File("server.pem"));
  dir_.Write("server.pem", good + expired);
  expect_refused("server.pem: an authority's certificate expired at ");
  dir_.Write("server.pem", good);
  EXPECT_EQ(check().code, 0) << check().out;
  marketd.Signal(SIGHUP);
  while (marketd.Output().find("event=reloaded") == std::string::npos) ::usleep(10'000);
  Issue("root", "root", now + absl::Hours(24));
  EXPECT_THAT(CreateTenant(Connect(marketd, kOperatorToken, "root"), "alice", "t1", nullptr),
              Succeeds());

  // For clients alone, and tenants' authorities.
  dir_.Write("server.ext", "extendedKeyUsage=clientAuth\n");
  Openssl({"x509", "-req", "-in", dir_.File("server.csr"), "-CA", dir_.File("authority.pem"),
           "-CAkey", dir_.File("authority.key"), "-CAcreateserial", "-days", "2", "-extfile",
           dir_.File("server.ext"), "-out", dir_.File("server.pem")});
  expect_refused("server.pem: its certificate is not for servers");
  dir_.Write("server.pem", good);
  const std::string tenants = ReadWholeFile(dir_.File("tenants.pem"));
  dir_.Write("tenants.pem", expired);
  expect_refused("tenants.pem: the last of its authorities expired at ");
  dir_.Write("tenants.pem", expired + tenants);
  EXPECT_EQ(check().code, 0) << "one is enough: " << check().out;
}

// The authority that tenants' certificates are checked by is replaced while marketd runs.
TEST_F(MutualTlsTest, ANewAuthorityOfTenantsLetsItsOwnIn) {
  const absl::Time later = absl::Now() + absl::Hours(24);
  for (const char* name : {"root", "alice"}) Issue(name, name, later);
  MarketdProcess marketd(dir_, Config(/*client_ca=*/true));
  ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();
  ASSERT_THAT(CreateTenant(Connect(marketd, kOperatorToken, "root"), "alice", "t1", nullptr),
              Succeeds());
  ASSERT_THAT(Account(Connect(marketd, "", "alice")), Succeeds());
  MakeAuthority("tenants");  // Of the same name, with another key.
  Issue("anew", "alice", later);
  EXPECT_THAT(Account(Connect(marketd, "", "anew")), Fails(StatusCode::UNAVAILABLE, ""));
  marketd.Signal(SIGHUP);
  while (marketd.Output().find("event=reloaded") == std::string::npos) ::usleep(10'000);
  EXPECT_THAT(Account(Connect(marketd, "", "anew")), Succeeds());
  EXPECT_THAT(Account(Connect(marketd, "", "alice")), Fails(StatusCode::UNAVAILABLE, ""))
      << "who was let in by the old one is no more";
}

TEST_F(MutualTlsTest, AListOfAnotherAuthorityIsAConfigurationError) {
  WriteRevocations();
  const std::string config = dir_.Write("c.yaml", ConfigWithRevocations());
  const std::vector<std::string> check = {NOM_MARKETD, "--check", "--config", config};
  EXPECT_EQ(RunToEnd(check).code, 0) << RunToEnd(check).out;
  dir_.Write("tenants.pem", ReadWholeFile(dir_.File("others.pem")));
  Exit exit = RunToEnd(check);
  EXPECT_EQ(exit.code, 2);
  EXPECT_THAT(exit.out, HasSubstr("crl.pem: is not signed by an authority in tls.client_ca"));
  dir_.Write("crl.pem", "nonsense");
  exit = RunToEnd(check);
  EXPECT_EQ(exit.code, 2);
  EXPECT_THAT(exit.out, HasSubstr("crl.pem: holds no PEM list of revoked certificates"));
}

// The whole authority is replaced: marketd takes the new certificate at a signal, and a session
// whose roots file was replaced finds back by itself.
TEST_F(TlsTest, ANewAuthorityReachesRunningServersAndSessions) {
  MarketdProcess marketd(dir_, Config(/*client_ca=*/false));
  ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();
  std::string token;
  ASSERT_THAT(CreateTenant(Connect(marketd, kOperatorToken, ""), "alice", "t1", &token),
              Succeeds());
  SessionOptions options;
  options.target = "localhost" + marketd.grpc_address().substr(marketd.grpc_address().rfind(':'));
  options.tls_roots_file = dir_.File("authority.pem");
  options.token = token;
  options.backoff_max = absl::Milliseconds(200);
  const auto session = Session::Connect(std::move(options));
  ASSERT_TRUE(session.ok()) << session.status();

  // A key without its certificate, as when files are replaced one by one, changes nothing.
  const std::string old_key = ReadWholeFile(dir_.File("server.key"));
  dir_.Write("server.key", ReadWholeFile(dir_.File("bob.key")));
  marketd.Signal(SIGHUP);
  while (marketd.Output().find("event=reload_failed") == std::string::npos) ::usleep(10'000);
  EXPECT_THAT(marketd.Output(), HasSubstr("is not the key of the certificate"));
  EXPECT_THAT(Account(Connect(marketd, token, "")), Succeeds());

  MakeAuthority("authority");  // Another, of the same name.
  MakeCertificate("authority", "server");
  marketd.Signal(SIGHUP);
  while (marketd.Output().find("event=reloaded") == std::string::npos) ::usleep(10'000);
  EXPECT_THAT(Account(Connect(marketd, token, "")), Succeeds()) << "new roots, new certificate";
  EXPECT_TRUE(::access(dir_.File("ready").c_str(), R_OK) == 0 && marketd.running());
  // The session's connection is of the old certificate. It is lost, and found again by the new one.
  EXPECT_EQ((*session)->state(), SessionState::kLive);
  ASSERT_EQ(marketd.Terminate().code, 0);
  const std::string port = marketd.grpc_address();
  MarketdProcess again(
      dir_, absl::StrReplaceAll(Config(/*client_ca=*/false),
                                {{"\nlisten: 127.0.0.1:0", ""},
                                 {"listen: 127.0.0.1:0\ntls", "listen: " + port + "\ntls"}}));
  ASSERT_TRUE(again.Start().ok()) << again.Output();
  while ((*session)->state() != SessionState::kLive) ::usleep(10'000);
  EXPECT_TRUE((*session)->last_error().ok());
}

// What cannot change while marketd runs is named; what can is in force.
TEST_F(TlsTest, AReloadSaysWhatNeedsARestart) {
  MarketdProcess marketd(dir_, Config(/*client_ca=*/false));
  ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();
  dir_.Write("marketd.yaml",
             absl::StrReplaceAll(Config(/*client_ca=*/true),
                                 {{"period_ms: 1000", "period_ms: 2000"},
                                  {"metrics_listen: 127.0.0.1:0", "metrics_listen: 127.0.0.1:1"}}) +
                 "limits: {bids_burst: 1, bids_per_second: 1}\n");
  marketd.Signal(SIGHUP);
  for (int i = 0; i < 6'000 && marketd.Output().find("event=reload") == std::string::npos; ++i)
    ::usleep(10'000);
  EXPECT_THAT(marketd.Output(),
              HasSubstr("restart_needed_for=tls.client_ca,metrics_listen,hosts[0].period_ms msg="));
  EXPECT_EQ(marketd.Terminate().code, 0);
}

}  // namespace
}  // namespace nom::testing
