// Text in columns, for people. Pure; no colour.

#ifndef CLIENT_CLI_TABLE_H_
#define CLIENT_CLI_TABLE_H_

#include <string>
#include <vector>

namespace nom::cli {

class Table {
 public:
  // A column whose head begins with '>' is set to the right.
  explicit Table(std::vector<std::string> heads);
  // Missing cells at the end are empty.
  void AddRow(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  // One line each, two blanks between columns, none at the end of a line.
  std::string Format(int indent = 0) const;

 private:
  std::vector<bool> right_;
  std::vector<std::string> heads_;
  std::vector<std::vector<std::string>> rows_;
};

// Text from a guest or a tenant, made harmless: what is not printable ASCII becomes '?'.
std::string Printable(const std::string& text);

}  // namespace nom::cli

#endif  // CLIENT_CLI_TABLE_H_
