// SPDX-License-Identifier: Apache-2.0
// Text in columns, for people. Pure.

#ifndef CLIENT_CLI_TABLE_H_
#define CLIENT_CLI_TABLE_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace nom::cli {

// What the text is for.
struct Look {
  int indent = 0;
  // Columns of the terminal; 0: not a terminal, nothing is cut.
  int width = 0;
  bool colour = false;
};

class Table {
 public:
  // A head may begin with marks: '>' sets the column to the right; '~' lets its texts be cut where
  // the terminal is narrow; '?' lets the whole column be left out there, before those without.
  explicit Table(std::vector<std::string> heads);
  // Missing cells at the end are empty.
  void AddRow(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  // One line each, two blanks between columns, none at the end of a line. No line is wider than
  // look.width: texts are cut, then columns left out from the right; a last line names those.
  std::string Format(const Look& look = {}) const;

 private:
  struct Column {
    std::string head;
    bool right = false;
    bool cuttable = false;
    bool optional = false;
  };
  // The width of each column, 0 for those left out.
  std::vector<size_t> Widths(const Look& look) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// Text from a guest or a tenant, made harmless: what is not printable ASCII becomes '?'.
std::string Printable(const std::string& text);

// `text` in bold or in red where colours are wanted.
std::string Bold(absl::string_view text, bool colour);
std::string Red(absl::string_view text, bool colour);

}  // namespace nom::cli

#endif  // CLIENT_CLI_TABLE_H_
