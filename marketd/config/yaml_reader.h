// SPDX-License-Identifier: Apache-2.0
// Reads YAML maps strictly and remembers everything that is wrong with them.
//
// The pattern: open a MapReader on a node, ask it for each key that may be there, call Finish. Each
// getter leaves its output alone when the key is absent or wrong, so that reading goes on and all
// errors are found in one pass.

#ifndef MARKETD_CONFIG_YAML_READER_H_
#define MARKETD_CONFIG_YAML_READER_H_

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace nom::marketd {

// What is wrong with one file, in the order found.
class YamlErrors {
 public:
  explicit YamlErrors(absl::string_view file_name) : file_name_(file_name) {}

  void Add(const YAML::Mark& mark, absl::string_view key_path, absl::string_view what);
  bool empty() const { return errors_.empty(); }
  // One line each, by position in the file.
  std::string Text() const;

 private:
  struct Error {
    int line;
    int column;
    std::string text;
  };
  std::string file_name_;
  std::vector<Error> errors_;
};

enum class Need { kRequired, kOptional };

class MapReader {
 public:
  // `path` names the node in messages ("hosts[0]"); empty for the whole file. `errors` must outlive
  // the reader. A node that is no map is an error at once, and then every getter finds nothing.
  MapReader(const YAML::Node& node, std::string path, YamlErrors* errors);

  // Each returns true if the key was there and right, and only then writes `out`.
  bool String(const std::string& key, Need need, std::string* out);
  bool Bool(const std::string& key, Need need, bool* out);
  bool Int(const std::string& key, Need need, int64_t min, int64_t max, int64_t* out);
  // One of `names`; `out` is its index.
  bool OneOf(const std::string& key, Need need, const std::vector<std::string>& names, size_t* out);
  // The nodes of a list with at least `size_min` members.
  bool List(const std::string& key, Need need, size_t size_min, std::vector<YAML::Node>* out);
  bool Map(const std::string& key, Need need, YAML::Node* out);

  // An error about a key's value, or about the map itself if the key is absent.
  void Complain(const std::string& key, absl::string_view what);

  // Reports every key that no getter asked for.
  void Finish();

  std::string PathOf(const std::string& key) const;

 private:
  const YAML::Node* Find(const std::string& key, Need need);
  // The text of a plain or quoted scalar; nullptr with an error if the key holds something else.
  const YAML::Node* FindScalar(const std::string& key, Need need, absl::string_view wanted);

  YAML::Node node_;
  std::string path_;
  YamlErrors* errors_;
  bool is_map_ = false;
  struct Entry {
    YAML::Node key;
    YAML::Node value;
    bool asked = false;
  };
  std::vector<std::pair<std::string, Entry>> entries_;
  std::vector<std::string> known_;
};

}  // namespace nom::marketd

#endif  // MARKETD_CONFIG_YAML_READER_H_
