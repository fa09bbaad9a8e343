// SPDX-License-Identifier: Apache-2.0
// Keys and certificates, read and checked before anybody relies on them.

#ifndef MARKETD_SERVER_TLS_H_
#define MARKETD_SERVER_TLS_H_

#include <mutex>
#include <string>
#include <unordered_map>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace nom::marketd {

struct TlsFiles {
  std::string cert;
  std::string key;
  std::string client_ca;   // May be empty,
  std::string client_crl;  // and so may this.
};

// PEM texts, not file names.
struct TlsMaterial {
  std::string cert;
  std::string key;
  std::string client_ca;   // Not empty: clients must show a certificate that it signed,
  std::string client_crl;  // and that is not in here.
};

// Reads the files. Errors name the file: NOT_FOUND; FAILED_PRECONDITION if others than its owner
// may read the key, or a list of revoked certificates is out of date; INVALID_ARGUMENT if it is no
// certificate, key or list, the key is another certificate's, the list another authority's, or if
// no handshake succeeds with them, whoever asks (a key that is too short).
absl::StatusOr<TlsMaterial> LoadTls(const TlsFiles& files, absl::Time now);

// Why nobody who looks at certificates would connect at `now`, though marketd would try: the
// server's or one of its chain is out of date or not for servers, or no authority of clients'
// certificates is in date. FAILED_PRECONDITION, with the file. Apart from LoadTls, as a market with
// an old certificate goes on for guests and hosts: only its callers are lost until there is
// another.
absl::Status CheckInDate(const TlsFiles& files, const TlsMaterial& material, absl::Time now);

// What this market thinks of client certificates that the handshake has verified: a connection may
// outlive them. Thread-safe.
class ClientCertificates {
 public:
  // Of the material's authority and list, from now on.
  void Set(const TlsMaterial& material);

  // The common name in a certificate, PEM.
  // Errors: UNAUTHENTICATED if it has expired or was revoked, or names nobody.
  absl::StatusOr<std::string> NameIn(absl::string_view pem, absl::Time now);

 private:
  struct Facts {
    std::string name;
    absl::Time not_after;
    bool revoked = false;
  };
  Facts Read(absl::string_view pem) const;

  std::mutex mutex_;
  std::string client_crl_;
  std::unordered_map<std::string, Facts> known_;  // By PEM text.
};

}  // namespace nom::marketd

#endif  // MARKETD_SERVER_TLS_H_
