// SPDX-License-Identifier: Apache-2.0
#include "client/examples/guests/batch/batch.h"
#include "client/examples/guests/common/run.h"

int GuestMain(const nom::guest::Start& start) {
  return nom::examples::Run<nom::examples::Batch>(start);
}
