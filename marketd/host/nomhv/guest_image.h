// SPDX-License-Identifier: Apache-2.0
// Guest images on the operator's disk.

#ifndef MARKETD_HOST_NOMHV_GUEST_IMAGE_H_
#define MARKETD_HOST_NOMHV_GUEST_IMAGE_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"

namespace nom::market {

// Reads `directory`/`name` whole. Whether it is a guest image is for nomhv to judge.
// Errors: INVALID_ARGUMENT if `name` is not a plain file name of [A-Za-z0-9._-], not beginning with
// a dot; NOT_FOUND; FAILED_PRECONDITION if it is no regular file; RESOURCE_EXHAUSTED above
// `bytes_max`.
absl::StatusOr<std::string> ReadGuestImage(const std::string& directory, const std::string& name,
                                           size_t bytes_max);

}  // namespace nom::market

#endif  // MARKETD_HOST_NOMHV_GUEST_IMAGE_H_
