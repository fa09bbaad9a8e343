// SPDX-License-Identifier: Apache-2.0
// A backup of the ledger on its way to an operator.

#ifndef MARKETD_SERVICES_BACKUP_STREAM_H_
#define MARKETD_SERVICES_BACKUP_STREAM_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "marketd/market/chain.h"
#include "nom/operators/v1/operators.pb.h"

namespace nom::marketd {

struct ServiceContext;

// A copy of the ledger, and what it holds.
struct BackupFiles {
  std::string path;
  std::string archive_path;  // A copy of its archive; empty if it has none, or none was asked for.
  market::ChainHead head;
};
// Makes one. Takes its time; one call at a time. The files are removed by whoever asked for them.
using BackUp = std::function<absl::StatusOr<BackupFiles>(bool with_archive)>;

using BackupWriter = grpc::ServerWriteReactor<nom::operators::v1::BackUpResponse>;

// Makes a backup on the worker for them and sends it piece by piece, to an operator that is
// identified by `context`. gRPC owns it.
BackupWriter* NewBackupStream(ServiceContext* services, grpc::CallbackServerContext* context,
                              bool with_archive);

}  // namespace nom::marketd

#endif  // MARKETD_SERVICES_BACKUP_STREAM_H_
