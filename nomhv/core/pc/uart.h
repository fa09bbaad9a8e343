// SPDX-License-Identifier: Apache-2.0
// A PC's serial port, a 16550 (National Semiconductor PC16550D, 8.0) that is always ready and
// raises no interrupt: its driver polls. What is written to it comes out in lines.

#ifndef NOMHV_CORE_PC_UART_H_
#define NOMHV_CORE_PC_UART_H_

#include <cstdint>
#include <string_view>

namespace nomhv {

inline constexpr uint16_t kUartPort = 0x3f8;
inline constexpr uint16_t kUartPorts = 8;

class Uart {
 public:
  static constexpr uint32_t kLineBytes = 200;  // A longer line is more than one.

  [[nodiscard]] uint8_t Read(uint32_t index) const {
    constexpr uint8_t kNothingPending = 0x01;
    constexpr uint8_t kTransmitterEmpty = 0x02;
    constexpr uint8_t kReady = 0x60;    // Holding register and transmitter empty.
    constexpr uint8_t kCarrier = 0xb0;  // DCD, DSR, CTS.
    const bool divisor = (line_control_ & 0x80) != 0;
    switch (index) {
      case 0:
        return divisor ? divisor_[0] : 0;
      case 1:
        return divisor ? divisor_[1] : interrupts_;
      case 2: {
        const uint8_t reason = (interrupts_ & 2) != 0 ? kTransmitterEmpty : kNothingPending;
        return static_cast<uint8_t>(reason | (fifo_ ? 0xc0 : 0));
      }
      case 3:
        return line_control_;
      case 4:
        return modem_control_;
      case 5:
        return kReady;
      case 6:
        return kCarrier;
      default:
        return scratch_;
    }
  }

  // A line that is whole; nothing most of the time. Good until the next Write.
  [[nodiscard]] std::string_view Write(uint32_t index, uint8_t value) {
    if ((line_control_ & 0x80) != 0 && index < 2) {
      divisor_[index] = value;
      return {};
    }
    switch (index) {
      case 0:
        return Send(static_cast<char>(value));
      case 1:
        interrupts_ = value & 0x0f;
        break;
      case 2:
        fifo_ = (value & 1) != 0;
        break;
      case 3:
        line_control_ = value;
        break;
      case 4:
        modem_control_ = value & 0x1f;
        break;
      case 7:
        scratch_ = value;
        break;
      default:
        break;
    }
    return {};
  }

 private:
  std::string_view Send(char c) {
    if (taken_) size_ = 0;
    taken_ = false;
    if (c != '\n' && c != '\r') line_[size_++] = c;
    if (size_ == 0 || (c != '\n' && size_ < kLineBytes)) return {};
    taken_ = true;
    return {line_, size_};
  }

  uint8_t divisor_[2] = {1, 0};
  uint8_t interrupts_ = 0;
  uint8_t line_control_ = 0;
  uint8_t modem_control_ = 0;
  uint8_t scratch_ = 0;
  bool fifo_ = false;
  bool taken_ = false;  // The line has been given out.
  uint32_t size_ = 0;
  char line_[kLineBytes];
};

}  // namespace nomhv

#endif  // NOMHV_CORE_PC_UART_H_
