// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/linux/systemd_units.h"

#include <systemd/sd-bus.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "marketd/base/status.h"

namespace nom::market {
namespace {

constexpr char kAddress[] = "unix:path=/run/systemd/private";
constexpr char kService[] = "org.freedesktop.systemd1";
constexpr char kManagerPath[] = "/org/freedesktop/systemd1";
constexpr char kManager[] = "org.freedesktop.systemd1.Manager";
constexpr char kUnit[] = "org.freedesktop.systemd1.Unit";
constexpr uint64_t kTimeoutUs = 4'000'000;  // marketd waits for five seconds.
constexpr uint64_t kPeriodUs = 100'000;

class BusError {
 public:
  ~BusError() { sd_bus_error_free(&error_); }
  sd_bus_error* get() { return &error_; }
  absl::Status Status(const std::string& what, int code) const {
    if (sd_bus_error_has_name(&error_, "org.freedesktop.systemd1.NoSuchUnit") > 0) {
      return absl::NotFoundError(absl::StrCat(what, ": ", error_.message));
    }
    return absl::FailedPreconditionError(absl::StrCat(
        what, ": ", error_.message != nullptr ? error_.message : std::strerror(-code)));
  }

 private:
  sd_bus_error error_ = SD_BUS_ERROR_NULL;
};

using Message = std::unique_ptr<sd_bus_message, decltype(&sd_bus_message_unref)>;

// systemd says "no limit" by the largest number of 64 bits.
int64_t FromSystemd(uint64_t value) {
  return value > static_cast<uint64_t>(kCgroupMax) ? kCgroupMax : static_cast<int64_t>(value);
}
uint64_t ToSystemd(int64_t value) {
  return value == kCgroupMax ? UINT64_MAX : static_cast<uint64_t>(value);
}

class Units final : public SystemdUnits {
 public:
  ~Units() override { Close(); }

  absl::StatusOr<Sight> Find(const std::string& unit) override {
    NOM_RETURN_IF_ERROR(Connect());
    const std::string what = absl::StrCat("unit ", unit);
    NOM_ASSIGN_OR_RETURN(const std::string path, PathOf(unit));
    NOM_ASSIGN_OR_RETURN(const std::string state, Text(what, path, kUnit, "ActiveState"));
    if (state != "active") {
      return absl::FailedPreconditionError(
          absl::StrCat(what, ": is ", state, ", not active: there is nothing to adopt"));
    }
    const std::string kind = absl::EndsWith(unit, ".scope") ? "org.freedesktop.systemd1.Scope"
                                                            : "org.freedesktop.systemd1.Service";
    Sight out;
    NOM_ASSIGN_OR_RETURN(out.cgroup, Text(what, path, kind, "ControlGroup"));
    out.cgroup = std::string(absl::StripPrefix(out.cgroup, "/"));
    if (out.cgroup.empty()) {
      return absl::FailedPreconditionError(absl::StrCat(what, ": has no cgroup of its own"));
    }
    for (const auto& [name, limit] : {std::pair("CPUQuotaPerSecUSec", &out.limits.cpu_us_per_s),
                                      std::pair("MemoryMax", &out.limits.memory_max_bytes),
                                      std::pair("MemoryMin", &out.limits.memory_min_bytes),
                                      std::pair("MemorySwapMax", &out.limits.swap_max_bytes)}) {
      NOM_ASSIGN_OR_RETURN(*limit, Number(what, path, kind, name));
    }
    return out;
  }

  absl::Status SetLimit(const std::string& unit, const std::string& file, int64_t value) override {
    static const auto* const kProperties =
        new std::map<std::string, const char*>{{"cpu.max", "CPUQuotaPerSecUSec"},
                                               {"memory.max", "MemoryMax"},
                                               {"memory.min", "MemoryMin"},
                                               {"memory.swap.max", "MemorySwapMax"}};
    const auto property = kProperties->find(file);
    if (property == kProperties->end()) {
      return absl::FailedPreconditionError(absl::StrCat(file, ": is no limit of a unit"));
    }
    NOM_RETURN_IF_ERROR(Connect());
    const std::string what = absl::StrCat("unit ", unit, ": ", property->second);
    sd_bus_message* raw = nullptr;
    int code = sd_bus_message_new_method_call(bus_, &raw, kService, kManagerPath, kManager,
                                              "SetUnitProperties");
    const Message message(raw, &sd_bus_message_unref);
    if (code >= 0) code = sd_bus_message_append(raw, "sb", unit.c_str(), 1);
    if (code >= 0) code = sd_bus_message_open_container(raw, 'a', "(sv)");
    if (code >= 0)
      code = sd_bus_message_append(raw, "(sv)", property->second, "t", ToSystemd(value));
    if (code >= 0 && file == "cpu.max") {
      code = sd_bus_message_append(raw, "(sv)", "CPUQuotaPeriodUSec", "t", kPeriodUs);
    }
    if (code >= 0) code = sd_bus_message_close_container(raw);
    BusError error;
    if (code >= 0) code = sd_bus_call(bus_, raw, kTimeoutUs, error.get(), nullptr);
    return Check(what, code, error);
  }

 private:
  absl::Status Connect() {
    if (bus_ != nullptr && sd_bus_is_open(bus_) > 0) return absl::OkStatus();
    Close();
    int code = sd_bus_new(&bus_);
    if (code >= 0) code = sd_bus_set_address(bus_, kAddress);
    if (code >= 0) code = sd_bus_start(bus_);
    if (code >= 0) return absl::OkStatus();
    Close();
    return absl::FailedPreconditionError(
        absl::StrCat("systemd does not answer at ", kAddress, ": ", std::strerror(-code),
                     "; units can be adopted where it is the init, by a launcher that is root"));
  }
  void Close() {
    if (bus_ != nullptr) sd_bus_close_unref(bus_);
    bus_ = nullptr;
  }

  // A call that failed for reasons of the connection is tried on a new one next time.
  absl::Status Check(const std::string& what, int code, const BusError& error) {
    if (code >= 0) return absl::OkStatus();
    const absl::Status status = error.Status(what, code);
    if (code == -ENOTCONN || code == -ECONNRESET || code == -ETIMEDOUT) Close();
    return status;
  }

  absl::StatusOr<std::string> PathOf(const std::string& unit) {
    BusError error;
    sd_bus_message* reply = nullptr;
    const int code = sd_bus_call_method(bus_, kService, kManagerPath, kManager, "GetUnit",
                                        error.get(), &reply, "s", unit.c_str());
    const Message message(reply, &sd_bus_message_unref);
    NOM_RETURN_IF_ERROR(Check(absl::StrCat("unit ", unit), code, error));
    const char* path = nullptr;
    NOM_RETURN_IF_ERROR(Check(unit, sd_bus_message_read(reply, "o", &path), error));
    return std::string(path);
  }

  absl::StatusOr<std::string> Text(const std::string& what, const std::string& path,
                                   const std::string& interface, const char* name) {
    BusError error;
    char* text = nullptr;
    const int code = sd_bus_get_property_string(bus_, kService, path.c_str(), interface.c_str(),
                                                name, error.get(), &text);
    const std::unique_ptr<char, decltype(&std::free)> owned(text, &std::free);
    NOM_RETURN_IF_ERROR(Check(absl::StrCat(what, ": ", name), code, error));
    return std::string(text);
  }

  absl::StatusOr<int64_t> Number(const std::string& what, const std::string& path,
                                 const std::string& interface, const char* name) {
    BusError error;
    uint64_t value = 0;
    const int code = sd_bus_get_property_trivial(bus_, kService, path.c_str(), interface.c_str(),
                                                 name, error.get(), 't', &value);
    NOM_RETURN_IF_ERROR(Check(absl::StrCat(what, ": ", name), code, error));
    return FromSystemd(value);
  }

  sd_bus* bus_ = nullptr;
};

}  // namespace

std::unique_ptr<SystemdUnits> NewSystemdUnits() { return std::make_unique<Units>(); }

}  // namespace nom::market
