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
struct BackupFile {
  std::string path;
  market::ChainHead head;
};
// Makes one. Takes its time; one call at a time. The file is removed by whoever asked for it.
using BackUp = std::function<absl::StatusOr<BackupFile>()>;

using BackupWriter = grpc::ServerWriteReactor<nom::operators::v1::BackUpResponse>;

// Makes a backup on the worker for them and sends it piece by piece, to an operator that is
// identified by `context`. gRPC owns it.
BackupWriter* NewBackupStream(ServiceContext* services, grpc::CallbackServerContext* context);

}  // namespace nom::marketd

#endif  // MARKETD_SERVICES_BACKUP_STREAM_H_
