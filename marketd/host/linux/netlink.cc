// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/linux/netlink.h"

#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/netlink.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/act/mirred.h>
#include <netlink/route/action.h>
#include <netlink/route/addr.h>
#include <netlink/route/class.h>
#include <netlink/route/classifier.h>
#include <netlink/route/cls/matchall.h>
#include <netlink/route/link.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/qdisc.h>
#include <netlink/route/qdisc/htb.h>
#include <netlink/route/route.h>
#include <netlink/route/tc.h>
#include <netlink/socket.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"

namespace nom::market {
namespace {

constexpr uint32_t kRoot = TC_HANDLE(1, 0);
constexpr uint32_t kClass = TC_HANDLE(1, 1);
constexpr int64_t kBytesPerMbit = 1'000'000 / 8;
constexpr uint32_t kFrameBytes = 1514;

// libnl's objects are counted; this gives one back.
template <typename T, void (*Put)(T*)>
struct Release {
  void operator()(T* object) const { Put(object); }
};
template <typename T, void (*Put)(T*)>
using Owned = std::unique_ptr<T, Release<T, Put>>;
using Socket = Owned<nl_sock, nl_socket_free>;
using Link = Owned<rtnl_link, rtnl_link_put>;
using Qdisc = Owned<rtnl_qdisc, rtnl_qdisc_put>;
using Class = Owned<rtnl_class, rtnl_class_put>;
using Classifier = Owned<rtnl_cls, rtnl_cls_put>;
using Address = Owned<nl_addr, nl_addr_put>;

absl::Status ErrnoStatus(int error, absl::string_view what) {
  const std::string text = absl::StrCat(what, ": ", std::strerror(error));
  if (error == ENOENT || error == ENODEV) return absl::NotFoundError(text);
  if (error == EEXIST) return absl::AlreadyExistsError(text);
  if (error == EPERM || error == EACCES) return absl::PermissionDeniedError(text);
  return absl::UnavailableError(text);
}

// Of a call to libnl, which returns its own numbers, negative.
absl::Status Told(int result, absl::string_view what) {
  if (result >= 0) return absl::OkStatus();
  const std::string text = absl::StrCat(what, ": ", nl_geterror(result));
  switch (-result) {
    case NLE_OBJ_NOTFOUND:
    case NLE_NODEV:
      return absl::NotFoundError(text);
    case NLE_EXIST:
      return absl::AlreadyExistsError(text);
    case NLE_PERM:
    case NLE_NOACCESS:
      return absl::PermissionDeniedError(text);
    case NLE_OPNOTSUPP:
      return absl::UnavailableError(
          absl::StrCat(text,
                       " (a kernel module is missing: veth, ifb, sch_htb, sch_ingress, "
                       "cls_matchall, act_mirred)"));
    default:
      return absl::UnavailableError(text);
  }
}

Address Ipv4(uint32_t address, int prefix) {
  const uint32_t network_order = __builtin_bswap32(address);
  Address out(nl_addr_build(AF_INET, &network_order, sizeof(network_order)));
  nl_addr_set_prefixlen(out.get(), prefix);
  return out;
}

class KernelNetlink final : public Netlink {
 public:
  explicit KernelNetlink(Socket socket) : socket_(std::move(socket)) {}

  absl::StatusOr<NetworkNamespace> AddNamespace() override {
    const int before = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (before < 0) return ErrnoStatus(errno, "/proc/self/ns/net");
    NetworkNamespace made;
    absl::Status status = absl::OkStatus();
    if (unshare(CLONE_NEWNET) != 0) {
      status = ErrnoStatus(errno, "a network namespace");
    } else {
      absl::StatusOr<std::unique_ptr<Netlink>> inside = OpenNetlink();
      const int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
      if (fd < 0) status = ErrnoStatus(errno, "/proc/self/ns/net");
      if (!inside.ok()) status = inside.status();
      made = NetworkNamespace(fd, inside.ok() ? *std::move(inside) : nullptr);
      if (setns(before, CLONE_NEWNET) != 0) {
        // A launcher in a guest's namespace would start all others in it.
        std::perror("nom-launcher: back to its own network namespace");
        std::abort();
      }
    }
    close(before);
    if (!status.ok()) return status;
    return made;
  }

  absl::Status AddVeth(const std::string& name, const std::string& alias, const std::string& peer,
                       int peer_fd) override {
    const Link link(rtnl_link_veth_alloc());
    rtnl_link_set_name(link.get(), name.c_str());
    rtnl_link_set_ifalias(link.get(), alias.c_str());
    rtnl_link* const other = rtnl_link_veth_get_peer(link.get());
    rtnl_link_set_name(other, peer.c_str());
    rtnl_link_set_ns_fd(other, peer_fd);
    rtnl_link_put(other);
    return Told(rtnl_link_add(socket_.get(), link.get(), NLM_F_CREATE | NLM_F_EXCL),
                absl::StrCat("interface ", name));
  }

  absl::Status AddIfb(const std::string& name, const std::string& alias) override {
    const Link link(rtnl_link_alloc());
    rtnl_link_set_name(link.get(), name.c_str());
    rtnl_link_set_ifalias(link.get(), alias.c_str());
    rtnl_link_set_type(link.get(), "ifb");
    return Told(rtnl_link_add(socket_.get(), link.get(), NLM_F_CREATE | NLM_F_EXCL),
                absl::StrCat("interface ", name));
  }

  absl::Status SetUp(const std::string& name) override {
    NOM_ASSIGN_OR_RETURN(const Link link, Find(name));
    const Link change(rtnl_link_alloc());
    rtnl_link_set_flags(change.get(), IFF_UP);
    return Told(rtnl_link_change(socket_.get(), link.get(), change.get(), 0),
                absl::StrCat("interface ", name, ": up"));
  }

  absl::Status AddAddress(const std::string& name, uint32_t address) override {
    NOM_ASSIGN_OR_RETURN(const Link link, Find(name));
    const Owned<rtnl_addr, rtnl_addr_put> entry(rtnl_addr_alloc());
    const Address local = Ipv4(address, 32);
    rtnl_addr_set_ifindex(entry.get(), rtnl_link_get_ifindex(link.get()));
    rtnl_addr_set_local(entry.get(), local.get());
    return Told(rtnl_addr_add(socket_.get(), entry.get(), 0),
                absl::StrCat("interface ", name, ": address"));
  }

  absl::Status AddRoute(const Ipv4Network& to, const std::string& name, uint32_t gateway) override {
    NOM_ASSIGN_OR_RETURN(const Link link, Find(name));
    const Owned<rtnl_route, rtnl_route_put> route(rtnl_route_alloc());
    const Address destination = Ipv4(to.address, to.prefix);
    rtnl_route_set_dst(route.get(), destination.get());
    rtnl_route_set_scope(route.get(), gateway == 0 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE);
    rtnl_nexthop* const hop = rtnl_route_nh_alloc();
    rtnl_route_nh_set_ifindex(hop, rtnl_link_get_ifindex(link.get()));
    const Address by = Ipv4(gateway, 32);
    if (gateway != 0) rtnl_route_nh_set_gateway(hop, by.get());
    rtnl_route_add_nexthop(route.get(), hop);  // The route's from here on.
    return Told(rtnl_route_add(socket_.get(), route.get(), NLM_F_CREATE | NLM_F_EXCL),
                absl::StrCat("interface ", name, ": route"));
  }

  absl::Status AddShaper(const std::string& name, int64_t mbits) override {
    NOM_ASSIGN_OR_RETURN(const Link link, Find(name));
    const Qdisc qdisc(rtnl_qdisc_alloc());
    rtnl_tc* const tc = TC_CAST(qdisc.get());
    rtnl_tc_set_link(tc, link.get());
    rtnl_tc_set_parent(tc, TC_H_ROOT);
    rtnl_tc_set_handle(tc, kRoot);
    const std::string what = absl::StrCat("interface ", name, ": htb");
    NOM_RETURN_IF_ERROR(Told(rtnl_tc_set_kind(tc, "htb"), what));
    rtnl_htb_set_defcls(qdisc.get(), TC_H_MIN(kClass));
    NOM_RETURN_IF_ERROR(
        Told(rtnl_qdisc_add(socket_.get(), qdisc.get(), NLM_F_CREATE | NLM_F_EXCL), what));
    return PutClass(link.get(), mbits, NLM_F_CREATE | NLM_F_EXCL, what);
  }

  absl::Status SetShaper(const std::string& name, int64_t mbits) override {
    NOM_ASSIGN_OR_RETURN(const Link link, Find(name));
    return PutClass(link.get(), mbits, NLM_F_REPLACE, absl::StrCat("interface ", name, ": rate"));
  }

  absl::Status RedirectIngress(const std::string& from, const std::string& to) override {
    NOM_ASSIGN_OR_RETURN(const Link link, Find(from));
    NOM_ASSIGN_OR_RETURN(const Link target, Find(to));
    const std::string what = absl::StrCat("interface ", from, ": ingress");
    const Qdisc qdisc(rtnl_qdisc_alloc());
    rtnl_tc* tc = TC_CAST(qdisc.get());
    rtnl_tc_set_link(tc, link.get());
    rtnl_tc_set_parent(tc, TC_H_INGRESS);
    rtnl_tc_set_handle(tc, TC_HANDLE(0xffff, 0));
    NOM_RETURN_IF_ERROR(Told(rtnl_tc_set_kind(tc, "ingress"), what));
    NOM_RETURN_IF_ERROR(
        Told(rtnl_qdisc_add(socket_.get(), qdisc.get(), NLM_F_CREATE | NLM_F_EXCL), what));

    const Classifier all(rtnl_cls_alloc());
    tc = TC_CAST(all.get());
    rtnl_tc_set_link(tc, link.get());
    rtnl_tc_set_parent(tc, TC_HANDLE(0xffff, 0));
    NOM_RETURN_IF_ERROR(Told(rtnl_tc_set_kind(tc, "matchall"), what));
    rtnl_cls_set_prio(all.get(), 1);
    rtnl_cls_set_protocol(all.get(), ETH_P_ALL);
    const Owned<rtnl_act, rtnl_act_put> redirect(rtnl_act_alloc());
    NOM_RETURN_IF_ERROR(Told(rtnl_tc_set_kind(TC_CAST(redirect.get()), "mirred"), what));
    rtnl_mirred_set_action(redirect.get(), TCA_EGRESS_REDIR);
    rtnl_mirred_set_ifindex(redirect.get(),
                            static_cast<uint32_t>(rtnl_link_get_ifindex(target.get())));
    rtnl_mirred_set_policy(redirect.get(), TC_ACT_STOLEN);
    NOM_RETURN_IF_ERROR(Told(rtnl_mall_append_action(all.get(), redirect.get()), what));
    return Told(rtnl_cls_add(socket_.get(), all.get(), NLM_F_CREATE | NLM_F_EXCL), what);
  }

  absl::Status Remove(const std::string& name) override {
    NOM_ASSIGN_OR_RETURN(const Link link, Find(name));
    return Told(rtnl_link_delete(socket_.get(), link.get()), absl::StrCat("interface ", name));
  }

  absl::StatusOr<std::vector<std::string>> Interfaces() override {
    nl_cache* cache = nullptr;
    NOM_RETURN_IF_ERROR(
        Told(rtnl_link_alloc_cache(socket_.get(), AF_UNSPEC, &cache), "interfaces"));
    std::vector<std::string> names;
    for (nl_object* object = nl_cache_get_first(cache); object != nullptr;
         object = nl_cache_get_next(object)) {
      names.emplace_back(rtnl_link_get_name(reinterpret_cast<rtnl_link*>(object)));
    }
    nl_cache_free(cache);
    return names;
  }

 private:
  absl::StatusOr<Link> Find(const std::string& name) {
    rtnl_link* link = nullptr;
    NOM_RETURN_IF_ERROR(Told(rtnl_link_get_kernel(socket_.get(), 0, name.c_str(), &link),
                             absl::StrCat("interface ", name)));
    return Link(link);
  }

  absl::Status PutClass(rtnl_link* link, int64_t mbits, int flags, const std::string& what) {
    const Class one(rtnl_class_alloc());
    rtnl_tc* const tc = TC_CAST(one.get());
    rtnl_tc_set_link(tc, link);
    rtnl_tc_set_parent(tc, kRoot);
    rtnl_tc_set_handle(tc, kClass);
    NOM_RETURN_IF_ERROR(Told(rtnl_tc_set_kind(tc, "htb"), what));
    const uint64_t rate = static_cast<uint64_t>(mbits * kBytesPerMbit);
    NOM_RETURN_IF_ERROR(Told(rtnl_htb_set_rate64(one.get(), rate), what));
    NOM_RETURN_IF_ERROR(Told(rtnl_htb_set_ceil64(one.get(), rate), what));
    // What may pass at once: 10 ms of the rate, and a frame in any case.
    const uint32_t burst = static_cast<uint32_t>(
        std::clamp<uint64_t>(rate / 100, 2 * uint64_t{kFrameBytes}, uint64_t{16} << 20));
    rtnl_htb_set_rbuffer(one.get(), burst);
    rtnl_htb_set_cbuffer(one.get(), burst);
    return Told(rtnl_class_add(socket_.get(), one.get(), flags), what);
  }

  const Socket socket_;
};

}  // namespace

NetworkNamespace::NetworkNamespace(int descriptor, std::unique_ptr<Netlink> in)
    : fd(descriptor), inside(std::move(in)) {}
NetworkNamespace::NetworkNamespace(NetworkNamespace&& other) noexcept
    : fd(std::exchange(other.fd, -1)), inside(std::move(other.inside)) {}
NetworkNamespace& NetworkNamespace::operator=(NetworkNamespace&& other) noexcept {
  std::swap(fd, other.fd);
  std::swap(inside, other.inside);
  return *this;
}
NetworkNamespace::~NetworkNamespace() {
  if (fd >= 0) close(fd);
}

absl::StatusOr<std::unique_ptr<Netlink>> OpenNetlink() {
  Socket socket(nl_socket_alloc());
  if (socket == nullptr) return absl::ResourceExhaustedError("netlink: no memory");
  NOM_RETURN_IF_ERROR(Told(nl_connect(socket.get(), NETLINK_ROUTE), "netlink"));
  return std::make_unique<KernelNetlink>(std::move(socket));
}

}  // namespace nom::market
