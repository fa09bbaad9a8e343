// SPDX-License-Identifier: Apache-2.0
#include "marketd/server/call_observer.h"

#include <google/protobuf/descriptor.h>

#include <chrono>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "marketd/server/status.h"

namespace nom::marketd {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::Interceptor;
using grpc::experimental::InterceptorBatchMethods;
using grpc::experimental::ServerRpcInfo;

class CallTimer final : public Interceptor {
 public:
  CallTimer(const CallDone& done, Gate* in_hand, absl::string_view method)
      : done_(done), in_hand_(in_hand), method_(method), begin_(std::chrono::steady_clock::now()) {}

  // gRPC destroys a call's interceptors when the call is over, however it ended.
  ~CallTimer() override {
    if (done_) {
      done_(method_, CodeName(code_), absl::FromChrono(std::chrono::steady_clock::now() - begin_));
    }
    in_hand_->Leave();
  }

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      code_ = methods->GetSendStatus().error_code();
    }
    methods->Proceed();
  }

 private:
  const CallDone& done_;
  Gate* const in_hand_;
  const std::string method_;
  const std::chrono::steady_clock::time_point begin_;
  grpc::StatusCode code_ = grpc::StatusCode::CANCELLED;
};

class Factory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  Factory(CallDone done, Gate* in_hand) : done_(std::move(done)), in_hand_(in_hand) {}

  Interceptor* CreateServerInterceptor(ServerRpcInfo* info) override {
    if (!in_hand_->Enter()) std::abort();  // It is never closed: calls are refused elsewhere.
    return new CallTimer(done_, in_hand_, MethodName(info->method()));
  }

 private:
  const CallDone done_;
  Gate* const in_hand_;
};

}  // namespace

std::string MethodName(absl::string_view path) {
  absl::ConsumePrefix(&path, "/");
  const bool known = google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(
                         absl::StrReplaceAll(path, {{"/", "."}})) != nullptr;
  return known ? std::string(path) : "other";
}

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> NewCallObserver(
    CallDone done, Gate* in_hand) {
  return std::make_unique<Factory>(std::move(done), in_hand);
}

}  // namespace nom::marketd
