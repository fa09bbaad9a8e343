// SPDX-License-Identifier: Apache-2.0
#include "marketd/server/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "marketd/base/files.h"
#include "marketd/base/status.h"

namespace nom::marketd {
namespace {

constexpr size_t kCertificatesKnownMax = 4'096;
constexpr int kHandshakeStepsMax = 1'000;          // Three do, but for chains of many kilobytes.
constexpr size_t kPemBytesMax = size_t{16} << 20;  // Lists of revoked ones can be long.

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* cert) const { X509_free(cert); }
  void operator()(X509_CRL* list) const { X509_CRL_free(list); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
using Bio = std::unique_ptr<BIO, Free>;
using Certificate = std::unique_ptr<X509, Free>;
using RevocationList = std::unique_ptr<X509_CRL, Free>;

absl::StatusOr<std::string> ReadFile(const std::string& file_name) {
  NOM_ASSIGN_OR_RETURN(SmallFile file, ReadSmallFile(file_name, kPemBytesMax));
  return std::move(file.text);
}

Bio Over(absl::string_view text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::vector<Certificate> Certificates(absl::string_view text) {
  std::vector<Certificate> out;
  const Bio bio = Over(text);
  while (Certificate next{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
    out.push_back(std::move(next));
  }
  return out;
}

std::vector<RevocationList> RevocationLists(absl::string_view text) {
  std::vector<RevocationList> out;
  const Bio bio = Over(text);
  while (RevocationList next{PEM_read_bio_X509_CRL(bio.get(), nullptr, nullptr, nullptr)}) {
    out.push_back(std::move(next));
  }
  return out;
}

absl::Time TimeOf(const ASN1_TIME* time) {
  std::tm fields{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &fields) != 1) return absl::InfinitePast();
  return absl::FromTM(fields, absl::UTCTimeZone());
}

// A key is as secret as a token.
absl::Status CheckOwnerOnly(const std::string& file_name, mode_t mode) {
  // systemd gives credentials mode 0440 in a directory that only the service can enter.
  const char* const credentials = std::getenv("CREDENTIALS_DIRECTORY");
  const bool is_credential =
      credentials != nullptr && absl::StartsWith(file_name, absl::StrCat(credentials, "/"));
  if (!is_credential && (mode & (S_IRWXG | S_IRWXO)) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(file_name, ": others than its owner may use it; chmod 600 it"));
  }
  return absl::OkStatus();
}

absl::Status CheckLists(const std::string& file_name, const std::string& text,
                        const std::vector<Certificate>& authorities, absl::Time now) {
  const std::vector<RevocationList> lists = RevocationLists(text);
  if (lists.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(file_name, ": holds no PEM list of revoked certificates (X509 CRL)"));
  }
  for (const RevocationList& list : lists) {
    bool signed_by_one = false;
    for (const Certificate& authority : authorities) {
      EVP_PKEY* const key = X509_get0_pubkey(authority.get());
      signed_by_one |= key != nullptr && X509_CRL_verify(list.get(), key) == 1;
    }
    if (!signed_by_one) {
      return absl::InvalidArgumentError(
          absl::StrCat(file_name, ": is not signed by an authority in tls.client_ca"));
    }
    const ASN1_TIME* const next = X509_CRL_get0_nextUpdate(list.get());
    if (next != nullptr && TimeOf(next) < now) {
      return absl::FailedPreconditionError(absl::StrCat(
          file_name, ": is out of date since ", absl::FormatTime(TimeOf(next), absl::UTCTimeZone()),
          "; get a new list from the authority"));
    }
  }
  return absl::OkStatus();
}

// Why OpenSSL refused what it was asked for last.
std::string OpensslReason() {
  const char* const reason = ERR_reason_error_string(ERR_peek_last_error());
  std::string out = reason == nullptr ? "no reason is given" : reason;
  ERR_clear_error();
  return out;
}

// What a client that trusts everybody and this server would say to each other, in memory. OpenSSL
// has rules of its own for keys and digests, which differ from system to system: only a handshake
// says what they are.
absl::Status TryHandshake(const std::vector<Certificate>& chain, EVP_PKEY* key) {
  const std::unique_ptr<SSL_CTX, Free> server(SSL_CTX_new(TLS_server_method()));
  const std::unique_ptr<SSL_CTX, Free> client(SSL_CTX_new(TLS_client_method()));
  NOM_CHECK(server != nullptr && client != nullptr, "no memory for TLS");
  // As gRPC does.
  SSL_CTX_set_min_proto_version(server.get(), TLS1_2_VERSION);
  bool good = SSL_CTX_use_certificate(server.get(), chain[0].get()) == 1 &&
              SSL_CTX_use_PrivateKey(server.get(), key) == 1;
  for (size_t i = 1; good && i < chain.size(); ++i) {
    good = SSL_CTX_add1_chain_cert(server.get(), chain[i].get()) == 1;
  }
  if (!good) return absl::InvalidArgumentError(OpensslReason());
  const std::unique_ptr<SSL, Free> here(SSL_new(server.get()));
  const std::unique_ptr<SSL, Free> there(SSL_new(client.get()));
  BIO* to_server = nullptr;
  BIO* to_client = nullptr;
  NOM_CHECK(here != nullptr && there != nullptr && BIO_new_bio_pair(&to_server, 0, &to_client, 0),
            "no memory for TLS");
  SSL_set_bio(here.get(), to_client, to_client);
  SSL_set_bio(there.get(), to_server, to_server);
  SSL_set_accept_state(here.get());
  SSL_set_connect_state(there.get());
  for (int step = 0; step < kHandshakeStepsMax; ++step) {
    if (SSL_is_init_finished(here.get()) == 1 && SSL_is_init_finished(there.get()) == 1) {
      return absl::OkStatus();
    }
    for (SSL* const side : {there.get(), here.get()}) {
      const int got = SSL_do_handshake(side);
      const int error = got == 1 ? SSL_ERROR_NONE : SSL_get_error(side, got);
      if (error == SSL_ERROR_NONE || error == SSL_ERROR_WANT_READ ||
          error == SSL_ERROR_WANT_WRITE) {
        continue;
      }
      return absl::InvalidArgumentError(OpensslReason());
    }
  }
  return absl::InvalidArgumentError("the handshake does not end");
}

std::string DateText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", time, absl::UTCTimeZone());
}

}  // namespace

absl::StatusOr<TlsMaterial> LoadTls(const TlsFiles& files, absl::Time now) {
  TlsMaterial out;
  NOM_ASSIGN_OR_RETURN(out.cert, ReadFile(files.cert));
  NOM_ASSIGN_OR_RETURN(SmallFile key, ReadSmallFile(files.key, kPemBytesMax));
  NOM_RETURN_IF_ERROR(CheckOwnerOnly(files.key, key.mode));
  out.key = std::move(key.text);
  const std::vector<Certificate> chain = Certificates(out.cert);
  if (chain.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(files.cert, ": holds no PEM certificate"));
  }
  // An empty pass phrase, so that OpenSSL never asks the terminal for one.
  char no_pass_phrase[] = "";
  const std::unique_ptr<EVP_PKEY, Free> private_key(
      PEM_read_bio_PrivateKey(Over(out.key).get(), nullptr, nullptr, no_pass_phrase));
  if (private_key == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(files.key, ": holds no PEM private key without a pass phrase"));
  }
  if (X509_check_private_key(chain[0].get(), private_key.get()) != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(files.key, ": is not the key of the certificate in ", files.cert));
  }
  if (const absl::Status tried = TryHandshake(chain, private_key.get()); !tried.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(files.cert, ": no connection can be made with it: ", tried.message()));
  }
  if (files.client_ca.empty()) return out;
  NOM_ASSIGN_OR_RETURN(out.client_ca, ReadFile(files.client_ca));
  const std::vector<Certificate> authorities = Certificates(out.client_ca);
  if (authorities.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(files.client_ca, ": holds no PEM certificate"));
  }
  if (files.client_crl.empty()) return out;
  NOM_ASSIGN_OR_RETURN(out.client_crl, ReadFile(files.client_crl));
  NOM_RETURN_IF_ERROR(CheckLists(files.client_crl, out.client_crl, authorities, now));
  return out;
}

absl::Status CheckInDate(const TlsFiles& files, const TlsMaterial& material, absl::Time now) {
  const std::vector<Certificate> chain = Certificates(material.cert);
  for (const Certificate& certificate : chain) {
    const absl::Time begin = TimeOf(X509_get0_notBefore(certificate.get()));
    const absl::Time end = TimeOf(X509_get0_notAfter(certificate.get()));
    if (begin <= now && now <= end) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        files.cert, ": ", certificate == chain[0] ? "its" : "an authority's", " certificate ",
        now > end ? "expired at " : "is not good before ", DateText(now > end ? end : begin),
        ", and it is ", DateText(now), ": nobody who checks it can connect"));
  }
  if (!chain.empty() && X509_check_purpose(chain[0].get(), X509_PURPOSE_SSL_SERVER, 0) != 1) {
    return absl::FailedPreconditionError(absl::StrCat(
        files.cert, ": its certificate is not for servers: nobody who checks it can connect"));
  }
  if (material.client_ca.empty()) return absl::OkStatus();
  absl::Time last = absl::InfinitePast();
  for (const Certificate& authority : Certificates(material.client_ca)) {
    last = std::max(last, TimeOf(X509_get0_notAfter(authority.get())));
  }
  if (now <= last) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(files.client_ca, ": the last of its authorities expired at ", DateText(last),
                   ": no client's certificate is good"));
}

void ClientCertificates::Set(const TlsMaterial& material) {
  std::lock_guard lock(mutex_);
  client_crl_ = material.client_crl;
  known_.clear();
}

ClientCertificates::Facts ClientCertificates::Read(absl::string_view pem) const {
  Facts out{.name = "", .not_after = absl::InfinitePast(), .revoked = false};
  const std::vector<Certificate> chain = Certificates(pem);
  if (chain.empty()) return out;
  X509* const leaf = chain[0].get();
  out.not_after = TimeOf(X509_get0_notAfter(leaf));
  const X509_NAME* const subject = X509_get_subject_name(leaf);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  // Two names are none: who reads the other one would be somebody else.
  if (at >= 0 && X509_NAME_get_index_by_NID(subject, NID_commonName, at) < 0) {
    unsigned char* text = nullptr;
    const int size =
        ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (size > 0) out.name.assign(reinterpret_cast<const char*>(text), static_cast<size_t>(size));
    OPENSSL_free(text);
  }
  for (const RevocationList& list : RevocationLists(client_crl_)) {
    X509_REVOKED* entry = nullptr;
    const bool same_issuer =
        X509_NAME_cmp(X509_CRL_get_issuer(list.get()), X509_get_issuer_name(leaf)) == 0;
    if (same_issuer && X509_CRL_get0_by_cert(list.get(), &entry, leaf) == 1) out.revoked = true;
  }
  return out;
}

absl::StatusOr<std::string> ClientCertificates::NameIn(absl::string_view pem, absl::Time now) {
  std::lock_guard lock(mutex_);
  auto found = known_.find(std::string(pem));
  if (found == known_.end()) {
    if (known_.size() >= kCertificatesKnownMax) known_.clear();
    found = known_.emplace(std::string(pem), Read(pem)).first;
  }
  const Facts& facts = found->second;
  if (facts.revoked) return absl::UnauthenticatedError("client certificate: it was revoked");
  if (now > facts.not_after) {
    return absl::UnauthenticatedError(
        absl::StrCat("client certificate: it expired at ",
                     absl::FormatTime(facts.not_after, absl::UTCTimeZone())));
  }
  if (facts.name.empty()) {
    return absl::UnauthenticatedError("client certificate: it has no common name, or several");
  }
  return facts.name;
}

}  // namespace nom::marketd
