#include "nom/types.h"

#include "absl/strings/string_view.h"

namespace nom {

absl::string_view ResourceName(Resource resource) {
  switch (resource) {
    case Resource::kCpu:
      return "cpu";
    case Resource::kMemory:
      return "memory";
    case Resource::kCache:
      return "cache";
    case Resource::kNetwork:
      return "network";
    case Resource::kDisk:
      return "disk";
    case Resource::kDevice:
      return "device";
  }
  return "unknown";
}

std::optional<Resource> ParseResource(absl::string_view name) {
  for (Resource resource : kAllResources) {
    if (ResourceName(resource) == name) return resource;
  }
  return std::nullopt;
}

}  // namespace nom
