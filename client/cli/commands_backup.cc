// SPDX-License-Identifier: Apache-2.0
// backup: the market's ledger, and its archive, as files of one's own, while the market goes on.

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/connection.h"
#include "client/cli/table.h"

namespace nom::cli {
namespace {

namespace pb = operators::v1;

absl::Status FileError(const std::string& path) {
  const std::string message = absl::StrCat(path, ": ", std::strerror(errno));
  return errno == EEXIST
             ? absl::AlreadyExistsError(absl::StrCat(message, "; no backup is written over"))
             : absl::FailedPreconditionError(message);
}

// A new file for its owner alone, which gets its name when it is whole.
class Download {
 public:
  static absl::StatusOr<std::unique_ptr<Download>> Begin(const std::string& path) {
    if (access(path.c_str(), F_OK) == 0) {
      errno = EEXIST;
      return FileError(path);
    }
    const std::string part = path + ".part";
    unlink(part.c_str());  // Of one that was cut short.
    const int fd = open(part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return FileError(part);
    return std::unique_ptr<Download>(new Download(path, part, fd));
  }
  ~Download() {
    close(fd_);
    if (!part_.empty()) unlink(part_.c_str());
    EVP_MD_CTX_free(digest_);
  }
  Download(const Download&) = delete;
  Download& operator=(const Download&) = delete;

  absl::Status Add(const std::string& data) {
    EVP_DigestUpdate(digest_, data.data(), data.size());
    for (size_t at = 0; at < data.size();) {
      const ssize_t written = write(fd_, data.data() + at, data.size() - at);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return FileError(part_);
      at += static_cast<size_t>(written);
    }
    bytes_ += static_cast<int64_t>(data.size());
    return absl::OkStatus();
  }

  int64_t bytes() const { return bytes_; }

  // DATA_LOSS if what came is not what was sent.
  absl::Status Check(int64_t bytes, const std::string& sha256) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    EVP_DigestFinal_ex(digest_, digest.data(), &size);
    const std::string got = absl::BytesToHexString(
        absl::string_view(reinterpret_cast<const char*>(digest.data()), size));
    if (bytes_ != bytes || got != sha256) {
      return absl::DataLossError(absl::StrCat("the backup came with ", bytes_, " bytes of ", bytes,
                                              ", or not as it was sent; nothing is kept of it"));
    }
    return fsync(fd_) == 0 ? absl::OkStatus() : FileError(part_);
  }

  absl::Status Keep() {
    if (renameat2(AT_FDCWD, part_.c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE) != 0) {
      return FileError(path_);
    }
    part_.clear();
    return absl::OkStatus();
  }

 private:
  Download(std::string path, std::string part, int fd)
      : path_(std::move(path)), part_(std::move(part)), fd_(fd), digest_(EVP_MD_CTX_new()) {
    EVP_DigestInit_ex(digest_, EVP_sha256(), nullptr);
  }

  const std::string path_;
  std::string part_;  // Empty: it has its name.
  const int fd_;
  int64_t bytes_ = 0;
  EVP_MD_CTX* const digest_;
};

// Reads the pieces that come after `head` into the file that each is of.
absl::Status ReadPieces(grpc::ClientReader<pb::BackUpResponse>& reader,
                        const pb::BackUpResponse& head, Download& ledger, Download* archive) {
  pb::BackUpResponse piece;
  while (reader.Read(&piece)) {
    const bool of_ledger = ledger.bytes() < head.bytes() || archive == nullptr;
    if (absl::Status s = (of_ledger ? ledger : *archive).Add(piece.data()); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::StatusOr<int> Backup(Connection& connection, const Output& out, const std::string& path,
                           bool with_archive) {
  absl::StatusOr<std::unique_ptr<Download>> file = Download::Begin(path);
  if (!file.ok()) return UsageError(file.status());
  const std::string archive_path = path + ".archive";  // Where marketd --restore looks for it.
  std::unique_ptr<Download> archive;
  if (with_archive) {
    absl::StatusOr<std::unique_ptr<Download>> begun = Download::Begin(archive_path);
    if (!begun.ok()) return UsageError(begun.status());
    archive = *std::move(begun);
  }
  grpc::ClientContext context;
  connection.Prepare(context);
  pb::BackUpRequest request;
  request.set_with_archive(with_archive);
  const auto reader = connection.operators().BackUp(&context, request);
  pb::BackUpResponse head;
  absl::Status status;
  if (reader->Read(&head)) {
    if (head.archive_bytes() == 0) archive.reset();
    status = ReadPieces(*reader, head, **file, archive.get());
  }
  if (!status.ok()) context.TryCancel();
  const absl::Status ended = client::ToAbsl(reader->Finish());
  if (!status.ok()) return status;
  if (absl::IsFailedPrecondition(ended) && with_archive) {
    return absl::FailedPreconditionError(
        absl::StrCat(ended.message(), "; --without-archive takes the ledger alone"));
  }
  if (!ended.ok()) return ended;
  status = (*file)->Check(head.bytes(), head.sha256());
  // The archive gets its name first: a ledger that has its name has its archive beside it.
  if (status.ok() && archive != nullptr) {
    status = archive->Check(head.archive_bytes(), head.archive_sha256());
    if (status.ok()) status = archive->Keep();
  }
  if (status.ok()) status = (*file)->Keep();
  if (!status.ok()) return status;
  return out.Done(
      head, absl::StrCat(path, ": ", head.bytes(), " bytes, proven, head is transaction ",
                         head.head_transaction_id(), " ", Printable(head.head_digest()), "\n",
                         archive == nullptr ? ""
                                            : absl::StrCat(archive_path, ": ", head.archive_bytes(),
                                                           " bytes, its archive\n")));
}

}  // namespace

void AddBackupCommand(CLI::App& app, Run& run) {
  CLI::App* backup = app.add_subcommand(
      "backup",
      "Operators: the ledger as it is now, proven, into a new file, while the market goes on; its "
      "archive, if it has one, into FILE.archive beside it; marketd --restore puts them back\n\n"
      "Example:\n"
      "  nomctl backup market-$(date +%F).sqlite");
  auto path = std::make_shared<std::string>();
  auto alone = std::make_shared<bool>(false);
  backup->add_option("file", *path, "Where to; nothing is written over")->required();
  backup->add_flag("--without-archive", *alone,
                   "The ledger alone: it is good without its archive, but for what is in that");
  backup->callback([&run, path, alone] {
    run = [path, alone](Connection& connection, const Output& out) {
      return Backup(connection, out, *path, !*alone);
    };
  });
}

}  // namespace nom::cli
