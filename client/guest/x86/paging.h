// The guest's own page tables. Programs rarely need them: memory is identity-mapped, the window
// writable, the boards read-only.

#ifndef CLIENT_GUEST_X86_PAGING_H_
#define CLIENT_GUEST_X86_PAGING_H_

#include <cstdint>

namespace nom::guest {

// Identity-maps the 2 MiB around a guest-physical address below 4 GiB, read and write, even where
// nomhv lets the guest hold nothing. Above the image (8 MiB) and off nomhv's pages only; false
// otherwise.
bool MapAnyway(uint64_t guest_physical);

}  // namespace nom::guest

#endif  // CLIENT_GUEST_X86_PAGING_H_
