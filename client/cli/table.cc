// SPDX-License-Identifier: Apache-2.0
#include "client/cli/table.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace nom::cli {
namespace {

constexpr size_t kGap = 2;          // Blanks between columns.
constexpr size_t kCutWidthMin = 8;  // A text is cut to this at the least.
constexpr char kCutMark[] = "..";

std::string Cut(const std::string& text, size_t width) {
  constexpr size_t kMark = sizeof(kCutMark) - 1;
  if (text.size() <= width) return text;
  if (width <= kMark) return text.substr(0, width);
  return absl::StrCat(text.substr(0, width - kMark), kCutMark);
}

// What a line of such columns takes; columns of width 0 are left out.
size_t LineWidth(const std::vector<size_t>& widths) {
  size_t total = 0;
  size_t shown = 0;
  for (const size_t width : widths) {
    total += width;
    shown += width > 0 ? 1 : 0;
  }
  return total + (shown > 0 ? (shown - 1) * kGap : 0);
}

}  // namespace

Table::Table(std::vector<std::string> heads) {
  for (std::string& head : heads) {
    Column column;
    size_t marks = 0;
    for (; marks < head.size(); ++marks) {
      if (head[marks] == '>') {
        column.right = true;
      } else if (head[marks] == '~') {
        column.cuttable = true;
      } else if (head[marks] == '?') {
        column.optional = true;
      } else {
        break;
      }
    }
    column.head = head.substr(marks);
    columns_.push_back(std::move(column));
  }
}

void Table::AddRow(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  rows_.push_back(std::move(cells));
}

std::vector<size_t> Table::Widths(const Look& look) const {
  std::vector<size_t> widths;
  for (size_t column = 0; column < columns_.size(); ++column) {
    size_t width = std::max<size_t>(1, columns_[column].head.size());
    for (const auto& row : rows_) width = std::max(width, row[column].size());
    widths.push_back(width);
  }
  if (look.width <= look.indent) return widths;
  const auto room = static_cast<size_t>(look.width - look.indent);
  const auto cut_texts = [&] {
    for (size_t column = columns_.size(); column-- > 0;) {
      const size_t line = LineWidth(widths);
      if (line <= room) return;
      if (!columns_[column].cuttable || widths[column] <= kCutWidthMin) continue;
      const size_t least = std::max(kCutWidthMin, columns_[column].head.size());
      if (widths[column] <= least) continue;
      widths[column] -= std::min(widths[column] - least, line - room);
    }
  };
  const auto leave_out = [&](bool all) {
    // The first column says what a line is about, and stays.
    for (size_t column = columns_.size(); column-- > 1;) {
      if (LineWidth(widths) <= room) return;
      if (all || columns_[column].optional) widths[column] = 0;
    }
  };
  const std::vector<size_t> natural = widths;
  cut_texts();
  leave_out(/*all=*/false);
  leave_out(/*all=*/true);
  // Texts get back what was freed by leaving out whole columns.
  for (size_t column = 0; column < widths.size(); ++column) {
    if (widths[column] == 0) continue;
    const size_t line = LineWidth(widths);
    if (line < room) widths[column] += std::min(natural[column] - widths[column], room - line);
  }
  widths[0] = std::min(widths[0], room);
  return widths;
}

std::string Table::Format(const Look& look) const {
  const std::vector<size_t> widths = Widths(look);
  std::string text;
  const auto line_of = [&](const auto& cell_of) {
    std::string line(static_cast<size_t>(look.indent), ' ');
    bool first = true;
    for (size_t column = 0; column < columns_.size(); ++column) {
      if (widths[column] == 0) continue;
      const std::string cell = Cut(cell_of(column), widths[column]);
      const std::string pad(widths[column] - cell.size(), ' ');
      if (!std::exchange(first, false)) line.append(kGap, ' ');
      line += columns_[column].right ? pad + cell : cell + pad;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    return line;
  };
  text += Bold(line_of([&](size_t column) { return columns_[column].head; }), look.colour) + "\n";
  for (const auto& row : rows_) text += line_of([&](size_t column) { return row[column]; }) + "\n";
  std::vector<std::string> hidden;
  for (size_t column = 0; column < columns_.size(); ++column) {
    if (widths[column] == 0) hidden.push_back(columns_[column].head);
  }
  if (!hidden.empty()) {
    const std::string note = absl::StrCat("not shown: ", absl::StrJoin(hidden, ", "));
    const auto indent = static_cast<size_t>(look.indent);
    text += std::string(indent, ' ') + Cut(note, static_cast<size_t>(look.width) - indent) + "\n";
  }
  return text;
}

std::string Printable(const std::string& text) {
  std::string out = text;
  for (char& c : out) {
    if (!absl::ascii_isprint(static_cast<unsigned char>(c))) c = '?';
  }
  return out;
}

std::string Bold(absl::string_view text, bool colour) {
  return colour ? absl::StrCat("\033[1m", text, "\033[0m") : std::string(text);
}

std::string Red(absl::string_view text, bool colour) {
  return colour ? absl::StrCat("\033[31m", text, "\033[0m") : std::string(text);
}

}  // namespace nom::cli
