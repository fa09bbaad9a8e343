// SPDX-License-Identifier: Apache-2.0
#include "marketd/services/backup_stream.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"
#include "marketd/services/call_log.h"
#include "marketd/services/context.h"

namespace nom::marketd {
namespace {

using nom::operators::v1::BackUpResponse;

constexpr size_t kPieceBytes = size_t{256} << 10;

absl::Status ReadError() {
  return absl::InternalError(absl::StrCat("the backup cannot be read: ", std::strerror(errno)));
}

// An open file without a name: it goes with whoever has it.
class NamelessFile {
 public:
  NamelessFile() = default;
  NamelessFile(NamelessFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  NamelessFile& operator=(NamelessFile&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~NamelessFile() {
    if (fd_ >= 0) close(fd_);
  }

  // Takes the name away from a file that is there.
  static absl::StatusOr<NamelessFile> Take(const std::string& path) {
    NamelessFile out;
    out.fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (out.fd_ < 0) return ReadError();
    if (unlink(path.c_str()) != 0) return ReadError();
    return out;
  }

  // Fills as much of `buffer` as there is from `offset` on.
  absl::StatusOr<size_t> Read(int64_t offset, std::string& buffer) const {
    for (;;) {
      const ssize_t got = pread(fd_, buffer.data(), buffer.size(), offset);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return ReadError();
      return static_cast<size_t>(got);
    }
  }

 private:
  int fd_ = -1;
};

struct Description {
  int64_t bytes = 0;
  std::string sha256;
};

// Goes before the file: who gets it knows when it is whole.
absl::StatusOr<Description> Describe(const NamelessFile& file) {
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(),
                                                                   EVP_MD_CTX_free);
  bool good = EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1;
  std::string buffer(kPieceBytes, '\0');
  Description out;
  for (;;) {
    NOM_ASSIGN_OR_RETURN(const size_t got, file.Read(out.bytes, buffer));
    if (got == 0) break;
    out.bytes += static_cast<int64_t>(got);
    good = good && EVP_DigestUpdate(context.get(), buffer.data(), got) == 1;
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  NOM_CHECK(good && EVP_DigestFinal_ex(context.get(), digest.data(), &size) == 1,
            "SHA-256 is not to be had");
  out.sha256 =
      absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest.data()), size));
  return out;
}

class Stream final : public BackupWriter {
 public:
  Stream(ServiceContext* services, grpc::CallbackServerContext* context, bool with_archive)
      : services_(services), context_(context), with_archive_(with_archive) {
    if (!services_->gate.Enter()) {
      Finish(ToGrpcStatus(absl::UnavailableError("the market is shutting down")));
      return;
    }
    entered_ = true;
    const absl::StatusOr<Identity> identity =
        services_->Identify(*context_, *services_->runtime.view());
    if (!identity.ok()) {
      Finish(ToGrpcStatus(identity.status()));
    } else if (!identity->caller.is_operator) {
      Finish(ToGrpcStatus(absl::PermissionDeniedError("this call is for operators")));
    } else if (!services_->back_up) {
      Finish(ToGrpcStatus(absl::UnimplementedError("there are no backups of this ledger")));
    } else if (!services_->backups.Post([this] { Begin(); })) {
      Finish(ToGrpcStatus(
          absl::ResourceExhaustedError("others wait for a backup already; try again later")));
    }
  }

  void OnWriteDone(bool ok) override {
    if (!ok || context_->IsCancelled()) {
      End(absl::CancelledError("the caller went away"));
    } else if (services_->stopping) {
      End(absl::UnavailableError("the market is shutting down"));
    } else {
      Next();
    }
  }

  // What is under way is looked after there.
  void OnCancel() override {}

  void OnDone() override {
    if (entered_) services_->gate.Leave();
    delete this;
  }

 private:
  // On the worker: for as long as the copy and its proof take.
  void Begin() {
    if (context_->IsCancelled()) {
      End(absl::CancelledError("the caller went away"));
      return;
    }
    if (const absl::Status status = Prepare(); !status.ok()) {
      End(status);
      return;
    }
    StartWrite(&piece_);
  }

  absl::Status Prepare() {
    NOM_ASSIGN_OR_RETURN(const BackupFiles backup, services_->back_up(with_archive_));
    // Both lose their names before either is read: nothing is left behind whatever fails then.
    absl::StatusOr<NamelessFile> ledger = NamelessFile::Take(backup.path);
    if (!backup.archive_path.empty()) {
      NOM_ASSIGN_OR_RETURN(archive_, NamelessFile::Take(backup.archive_path));
      NOM_ASSIGN_OR_RETURN(Description archive, Describe(*archive_));
      piece_.set_archive_bytes(archive.bytes);
      piece_.set_archive_sha256(std::move(archive.sha256));
    }
    if (!ledger.ok()) return ledger.status();
    file_ = *std::move(ledger);
    NOM_ASSIGN_OR_RETURN(Description description, Describe(file_));
    piece_.set_bytes(description.bytes);
    piece_.set_sha256(std::move(description.sha256));
    piece_.set_head_transaction_id(backup.head.transaction_id);
    piece_.set_head_digest(backup.head.digest);
    return absl::OkStatus();
  }

  void Next() {
    piece_.Clear();
    std::string& data = *piece_.mutable_data();
    data.resize(kPieceBytes);
    absl::StatusOr<size_t> got = file_.Read(at_, data);
    if (got.ok() && *got == 0 && archive_.has_value()) {
      file_ = *std::move(archive_);
      archive_.reset();
      at_ = 0;
      got = file_.Read(at_, data);
    }
    if (!got.ok() || *got == 0) {
      End(got.status());
      return;
    }
    data.resize(*got);
    at_ += static_cast<int64_t>(*got);
    sent_ += static_cast<int64_t>(*got);
    StartWrite(&piece_);
  }

  void End(const absl::Status& status) {
    LogDone("backup", *context_, "operator", status, {{"bytes", sent_}});
    Finish(ToGrpcStatus(status));
  }

  ServiceContext* const services_;
  grpc::CallbackServerContext* const context_;
  const bool with_archive_;
  bool entered_ = false;
  NamelessFile file_;                    // That is being sent,
  int64_t at_ = 0;                       // from here on.
  std::optional<NamelessFile> archive_;  // Comes after it.
  int64_t sent_ = 0;                     // Of all files.
  BackUpResponse piece_;                 // Of the write under way.
};

}  // namespace

BackupWriter* NewBackupStream(ServiceContext* services, grpc::CallbackServerContext* context,
                              bool with_archive) {
  return new Stream(services, context, with_archive);
}

}  // namespace nom::marketd
