// SPDX-License-Identifier: Apache-2.0
// Calls by name and bytes, for methods that this project generates no stubs for.

#ifndef TESTS_SERVICE_RAW_CALL_H_
#define TESTS_SERVICE_RAW_CALL_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

namespace nom::testing {

// `method` is "/package.Service/Method".
grpc::Status RawUnaryCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                          const std::string& request, std::string* response);

// grpc.health.v1.Health/Check: 1 SERVING, 2 NOT_SERVING, 0 unknown; -1 and `status` on an error.
int HealthOf(const std::shared_ptr<grpc::Channel>& channel, const std::string& service,
             grpc::Status* status = nullptr);

// The first message that a streaming method answers to one request.
grpc::Status RawStreamingCall(const std::shared_ptr<grpc::Channel>& channel,
                              const std::string& method, const std::string& request,
                              std::string* response);

}  // namespace nom::testing

#endif  // TESTS_SERVICE_RAW_CALL_H_
