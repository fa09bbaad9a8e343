// SPDX-License-Identifier: Apache-2.0
// The thread that sits in the stream.

#include "client/src/session_impl.h"

namespace nom {

void Session::Impl::ReadStreams() {
  bool suspect = false;  // The connection.
  std::unique_lock lock(mutex_);
  for (;;) {
    reader_wake_.wait(lock, [this] { return stopping_ || want_stream_; });
    if (stopping_) return;
    want_stream_ = false;
    ++counters_.streams;
    // A guest that has gone is none of the caller's: after the first word, its id alone must not
    // keep the others from being watched.
    const bool was_live = core_.state() != SessionState::kConnecting;
    market::v1::WatchRequest request;
    request.set_host_id(options_.host_id);
    if (!watch_all_) {
      for (uint64_t guest_id : options_.guest_ids) request.add_guest_ids(guest_id);
    }
    request.set_after_sequence(core_.after_sequence());
    lock.unlock();
    absl::Status status = suspect ? endpoints_.Reopen(/*next=*/true) : absl::OkStatus();
    if (status.ok()) status = ReadOne(request);
    suspect = status.ok() || client::IsUnsure(status);
    lock.lock();
    if (absl::IsNotFound(status) && was_live && !options_.guest_ids.empty()) watch_all_ = true;
    stream_end_ = status;
    wake_.notify_all();
  }
}

absl::Status Session::Impl::ReadOne(const market::v1::WatchRequest& request) {
  absl::StatusOr<std::string> token = Token();
  if (!token.ok()) return token.status();
  CancellableContext cancellable(*this);
  client::AddToken(*token, cancellable.context);
  {
    std::lock_guard lock(mutex_);
    watch_context_ = &cancellable.context;
  }
  const std::shared_ptr<client::Endpoints::Stub> stub = endpoints_.stub();
  const auto stream = stub->Watch(&cancellable.context, request);
  market::v1::WatchResponse response;
  while (stream->Read(&response)) {
    if (request.guest_ids_size() == 0 && !options_.guest_ids.empty()) KeepFollowed(response);
    std::unique_lock lock(mutex_);
    reader_wake_.wait(lock, [this] { return stopping_ || !inbox_; });
    if (stopping_) break;
    inbox_ = std::move(response);
    wake_.notify_all();
  }
  absl::Status status = client::ToAbsl(stream->Finish());
  std::lock_guard lock(mutex_);
  watch_context_ = nullptr;
  return status;
}

void Session::Impl::KeepFollowed(market::v1::WatchResponse& response) const {
  const auto is_followed = [&](uint64_t guest_id) {
    return std::find(options_.guest_ids.begin(), options_.guest_ids.end(), guest_id) !=
           options_.guest_ids.end();
  };
  auto& guests = *response.mutable_guests();
  guests.erase(std::remove_if(guests.begin(), guests.end(),
                              [&](const auto& guest) { return !is_followed(guest.guest_id()); }),
               guests.end());
  auto& notices = *response.mutable_notices();
  notices.erase(std::remove_if(notices.begin(), notices.end(),
                               [&](const auto& notice) { return !is_followed(notice.guest_id()); }),
                notices.end());
}

}  // namespace nom
