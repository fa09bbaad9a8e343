// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/nomhv/doorbell.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <string>
#include <utility>

#include "nomhv/abi/mailbox.h"

namespace nom::market {
namespace {

using ::testing::HasSubstr;

// What QEMU does: connects and takes numbers, some with a descriptor beside them.
class Machine {
 public:
  explicit Machine(const std::string& path) : socket_(socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    EXPECT_EQ(connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  ~Machine() { close(socket_); }

  std::pair<int64_t, int> Take() const {
    int64_t number = 0;
    iovec part{&number, sizeof(number)};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    EXPECT_EQ(recvmsg(socket_, &message, MSG_WAITALL), ssize_t{sizeof(number)});
    int descriptor = -1;
    if (const cmsghdr* header = CMSG_FIRSTHDR(&message)) {
      std::memcpy(&descriptor, CMSG_DATA(header), sizeof(int));
    }
    return {number, descriptor};
  }

 private:
  const int socket_;
};

class DoorbellTest : public ::testing::Test {
 protected:
  const std::string base_ = ::testing::TempDir() + "doorbell_" + std::to_string(getpid());
  const std::string socket_path_ = base_ + ".sock";
  const std::string memory_path_ = base_ + ".mem";
  void TearDown() override {
    unlink(socket_path_.c_str());
    unlink(memory_path_.c_str());
  }
};

TEST_F(DoorbellTest, GreetsTheMachineAsTheProtocolSaysAndRingsBothWays) {
  auto doorbell = Doorbell::Listen(socket_path_, memory_path_);
  ASSERT_TRUE(doorbell.ok()) << doorbell.status();
  for (int boot = 0; boot < 3; ++boot) {  // A machine that reboots connects again.
    const Machine machine(socket_path_);
    EXPECT_EQ(machine.Take(), std::pair(int64_t{0}, -1)) << "protocol version";
    EXPECT_EQ(machine.Take(), std::pair(Doorbell::kMachinePeer, -1)) << "its own id";
    const auto [minus_one, memory] = machine.Take();
    EXPECT_EQ(minus_one, -1);
    struct stat info {};
    ASSERT_EQ(fstat(memory, &info), 0);
    EXPECT_EQ(info.st_size, off_t{NOM_MAILBOX_BYTES});
    const auto [own_peer, rings_marketd] = machine.Take();
    EXPECT_EQ(own_peer, Doorbell::kOwnPeer);
    const auto [machine_peer, rings_machine] = machine.Take();
    EXPECT_EQ(machine_peer, Doorbell::kMachinePeer);

    EXPECT_FALSE((*doorbell)->Wait(absl::ZeroDuration()));
    const uint64_t one = 1;
    ASSERT_EQ(write(rings_marketd, &one, sizeof(one)), ssize_t{sizeof(one)});
    EXPECT_TRUE((*doorbell)->Wait(absl::Seconds(10)));
    EXPECT_FALSE((*doorbell)->Wait(absl::ZeroDuration())) << "one ring, one waking";

    (*doorbell)->Ring();
    pollfd wait{rings_machine, POLLIN, 0};
    EXPECT_EQ(poll(&wait, 1, 10'000), 1);
    uint64_t count = 0;
    EXPECT_EQ(read(rings_machine, &count, sizeof(count)), ssize_t{sizeof(count)});
    for (const int fd : {memory, rings_marketd, rings_machine}) close(fd);
  }
}

TEST_F(DoorbellTest, ASocketLeftBehindIsReplacedButNotOneInUse) {
  auto first = Doorbell::Listen(socket_path_, memory_path_);
  ASSERT_TRUE(first.ok());
  auto second = Doorbell::Listen(socket_path_, memory_path_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(second.status().message(), HasSubstr(socket_path_));

  // What a killed marketd leaves: a socket file that nobody listens on.
  const std::string left = base_ + ".left";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, left.c_str(), sizeof(address.sun_path) - 1);
  const int dead = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(bind(dead, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  close(dead);
  EXPECT_TRUE(Doorbell::Listen(left, memory_path_).ok());
}

TEST_F(DoorbellTest, AFileInTheWayIsNamedAndKept) {
  std::ofstream(socket_path_) << "somebody's";
  auto doorbell = Doorbell::Listen(socket_path_, memory_path_);
  EXPECT_EQ(doorbell.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(doorbell.status().message(), HasSubstr(socket_path_));
  EXPECT_EQ(access(socket_path_.c_str(), F_OK), 0);
}

}  // namespace
}  // namespace nom::market
