// SPDX-License-Identifier: Apache-2.0
#include "tests/service/raw_call.h"

#include <grpcpp/generic/generic_stub.h>

#include <chrono>
#include <vector>

namespace nom::testing {
namespace {

constexpr auto kTimeout = std::chrono::seconds(60);

grpc::ByteBuffer Buffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

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

grpc::Status RawUnaryCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                          const std::string& request, std::string* response) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kTimeout);
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareUnaryCall(&context, method, Buffer(request), &queue);
  call->StartCall();
  grpc::ByteBuffer answer;
  grpc::Status status;
  call->Finish(&answer, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  if (response != nullptr && status.ok()) *response = Bytes(answer);
  return status;
}

grpc::Status RawStreamingCall(const std::shared_ptr<grpc::Channel>& channel,
                              const std::string& method, const std::string& request,
                              std::string* response) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kTimeout);
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareCall(&context, method, &queue);
  void* tag = nullptr;
  bool ok = false;
  call->StartCall(nullptr);
  queue.Next(&tag, &ok);
  grpc::ByteBuffer answer;
  if (ok) {
    call->WriteLast(Buffer(request), grpc::WriteOptions(), nullptr);
    queue.Next(&tag, &ok);
  }
  if (ok) {
    call->Read(&answer, nullptr);
    queue.Next(&tag, &ok);
    if (ok && response != nullptr) *response = Bytes(answer);
    while (ok) {
      call->Read(&answer, nullptr);
      queue.Next(&tag, &ok);
    }
  }
  grpc::Status status;
  call->Finish(&status, nullptr);
  queue.Next(&tag, &ok);
  return status;
}

int HealthOf(const std::shared_ptr<grpc::Channel>& channel, const std::string& service,
             grpc::Status* status) {
  std::string request;
  if (!service.empty()) {
    request = std::string("\x0a") + static_cast<char>(service.size()) + service;
  }
  std::string response;
  const grpc::Status answered =
      RawUnaryCall(channel, "/grpc.health.v1.Health/Check", request, &response);
  if (status != nullptr) *status = answered;
  if (!answered.ok()) return -1;
  return response.size() == 2 && response[0] == '\x08' ? response[1] : 0;
}

}  // namespace nom::testing
