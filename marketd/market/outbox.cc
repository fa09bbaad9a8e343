// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/outbox.h"

#include <utility>

#include "marketd/base/status.h"

namespace nom::market {

void Outbox::Hold(uint64_t after, Content content) {
  NOM_CHECK(held_.empty() || held_.back().after <= after, "what was put in later rests on less");
  holds_view_ = holds_view_ || std::holds_alternative<std::shared_ptr<const View>>(content);
  held_.push_back({after, std::move(content)});
}

void Outbox::Release(uint64_t durable, Effects& effects) {
  while (!held_.empty() && held_.front().after <= durable) {
    Content& content = held_.front().content;
    if (auto* reply = std::get_if<ReplyEffect>(&content)) {
      effects.replies.push_back(std::move(*reply));
    } else if (auto* command = std::get_if<HostCommand>(&content)) {
      effects.commands.push_back(std::move(*command));
    } else {
      effects.view = std::move(std::get<std::shared_ptr<const View>>(content));
      holds_view_ = false;
    }
    held_.pop_front();
  }
}

}  // namespace nom::market
