// SPDX-License-Identifier: Apache-2.0
#include "marketd/server/self_call.h"

#include <grpcpp/create_channel_posix.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "marketd/base/clock.h"
#include "marketd/base/status.h"

namespace nom::marketd {
namespace {

// HealthCheckResponse{status: SERVING}: field 1, varint 1. grpc.health.v1 has no library in Debian.
constexpr char kServing[] = "\x08\x01";

std::string Bytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string out;
  if (!buffer.Valid() || !buffer.Dump(&slices).ok()) return out;
  for (const grpc::Slice& slice : slices) {
    out.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return out;
}

}  // namespace

absl::Status CallSelf(FrontDoor& front_door, absl::Duration timeout) {
  const absl::Time deadline = Clock::Real().Now() + timeout;  // Nobody sets this clock.
  NOM_ASSIGN_OR_RETURN(OwnedFd visit, front_door.Visit(timeout));
  grpc::GenericStub stub(grpc::CreateInsecureChannelFromFd("self", visit.release()));
  grpc::ClientContext context;
  const absl::Duration left = std::max(absl::ZeroDuration(), deadline - Clock::Real().Now());
  context.set_deadline(absl::ToChronoTime(absl::Now() + left));
  grpc::CompletionQueue queue;
  const grpc::Slice nothing;
  const auto call = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check",
                                          grpc::ByteBuffer(&nothing, 1), &queue);
  call->StartCall();
  grpc::ByteBuffer answer;
  grpc::Status status;
  call->Finish(&answer, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  if (!status.ok()) {
    return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                        absl::StrCat("own front door: ", status.error_message()));
  }
  if (Bytes(answer) != kServing) return absl::UnavailableError("own front door: not serving");
  return absl::OkStatus();
}

}  // namespace nom::marketd
