// SPDX-License-Identifier: Apache-2.0
#include "bench/marketd/callback_server.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/byte_buffer.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <set>

#include "absl/strings/str_cat.h"
#include "nom/market/v1/market.grpc.pb.h"
#include "nom/operators/v1/operators.grpc.pb.h"

namespace nom::bench {
namespace {

namespace market_pb = nom::market::v1;
namespace operators_pb = nom::operators::v1;

grpc::ByteBuffer Encoded(int64_t available, size_t bytes) {
  market_pb::WatchResponse response;
  response.add_accounts()->set_available_microcredits(available);
  response.mutable_state()->set_host_id(std::string(bytes, 'h'));
  const grpc::Slice slice(response.SerializeAsString());
  return {&slice, 1};
}

class Watchers {
 public:
  explicit Watchers(size_t bytes) : bytes_(bytes) {}

  class Stream final : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
   public:
    explicit Stream(Watchers& all) : all_(all) {}
    // The next write begins when this one is done; nobody is that slow here.
    void Tell(const grpc::ByteBuffer& news) {
      std::lock_guard lock(mutex_);
      if (writing_) return;
      writing_ = true;
      news_ = news;
      StartWrite(&news_);
    }
    void OnWriteDone(bool ok) override {
      std::lock_guard lock(mutex_);
      writing_ = false;
      if (!ok) Finish(grpc::Status::CANCELLED);
    }
    void OnCancel() override {}
    void OnDone() override { all_.Remove(this); }

   private:
    Watchers& all_;
    std::mutex mutex_;
    bool writing_ = false;
    grpc::ByteBuffer news_;
  };

  Stream* Add() {
    std::lock_guard lock(mutex_);
    auto* const stream = new Stream(*this);
    streams_.insert(stream);
    stream->Tell(Encoded(available_, bytes_));
    return stream;
  }
  void Remove(Stream* stream) {
    {
      std::lock_guard lock(mutex_);
      streams_.erase(stream);
    }
    delete stream;
  }
  void Deposit(int64_t amount) {
    std::lock_guard lock(mutex_);
    available_ += amount;
    const grpc::ByteBuffer news = Encoded(available_, bytes_);
    for (Stream* stream : streams_) stream->Tell(news);
  }

 private:
  const size_t bytes_;
  std::mutex mutex_;
  std::set<Stream*> streams_;
  int64_t available_ = 0;
};

class Market final : public market_pb::MarketService::WithRawCallbackMethod_Watch<
                         market_pb::MarketService::Service> {
 public:
  explicit Market(Watchers& watchers) : watchers_(watchers) {}
  grpc::ServerWriteReactor<grpc::ByteBuffer>* Watch(grpc::CallbackServerContext*,
                                                    const grpc::ByteBuffer*) override {
    return watchers_.Add();
  }

 private:
  Watchers& watchers_;
};

class Operators final : public operators_pb::OperatorService::CallbackService {
 public:
  explicit Operators(Watchers& watchers) : watchers_(watchers) {}
  grpc::ServerUnaryReactor* Deposit(grpc::CallbackServerContext* context,
                                    const operators_pb::DepositRequest* request,
                                    operators_pb::DepositResponse*) override {
    watchers_.Deposit(request->amount_microcredits());
    grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

 private:
  Watchers& watchers_;
};

}  // namespace

void RunCallbackServer(const std::string& ready_file, size_t bytes) {
  Watchers watchers(bytes);
  Market market(watchers);
  Operators operators(watchers);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&market);
  builder.RegisterService(&operators);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) std::abort();
  const std::string written = ready_file + ".new";
  std::ofstream(written) << "127.0.0.1:" << port;
  if (std::rename(written.c_str(), ready_file.c_str()) != 0) std::abort();
  for (;;) ::pause();
}

}  // namespace nom::bench
