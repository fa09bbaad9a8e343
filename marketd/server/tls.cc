#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>

#include "absl/strings/str_cat.h"
#include "marketd/server/server.h"

namespace nom::marketd {
namespace {

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* cert) const { X509_free(cert); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};

absl::StatusOr<std::string> ReadFile(const std::string& file_name) {
  std::ifstream file(file_name, std::ios::binary);
  if (!file) {
    return absl::NotFoundError(absl::StrCat(file_name, ": cannot be read: ", std::strerror(errno)));
  }
  return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

std::unique_ptr<BIO, Free> Over(const std::string& text) {
  return std::unique_ptr<BIO, Free>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::unique_ptr<X509, Free> FirstCertificate(const std::string& text) {
  return std::unique_ptr<X509, Free>(
      PEM_read_bio_X509(Over(text).get(), nullptr, nullptr, nullptr));
}

}  // namespace

absl::StatusOr<TlsMaterial> LoadTls(const std::string& cert_file, const std::string& key_file,
                                    const std::string& client_ca_file) {
  TlsMaterial out;
  absl::StatusOr<std::string> cert = ReadFile(cert_file);
  if (!cert.ok()) return cert.status();
  absl::StatusOr<std::string> key = ReadFile(key_file);
  if (!key.ok()) return key.status();
  const auto certificate = FirstCertificate(*cert);
  if (certificate == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(cert_file, ": holds no PEM certificate"));
  }
  // An empty pass phrase, so that OpenSSL never asks the terminal for one.
  char no_pass_phrase[] = "";
  const std::unique_ptr<EVP_PKEY, Free> private_key(
      PEM_read_bio_PrivateKey(Over(*key).get(), nullptr, nullptr, no_pass_phrase));
  if (private_key == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(key_file, ": holds no PEM private key without a pass phrase"));
  }
  if (X509_check_private_key(certificate.get(), private_key.get()) != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(key_file, ": is not the key of the certificate in ", cert_file));
  }
  out.cert = *std::move(cert);
  out.key = *std::move(key);
  if (!client_ca_file.empty()) {
    absl::StatusOr<std::string> client_ca = ReadFile(client_ca_file);
    if (!client_ca.ok()) return client_ca.status();
    if (FirstCertificate(*client_ca) == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(client_ca_file, ": holds no PEM certificate"));
    }
    out.client_ca = *std::move(client_ca);
  }
  return out;
}

}  // namespace nom::marketd
