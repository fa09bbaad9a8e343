// SPDX-License-Identifier: Apache-2.0
// The page's files: what a request may name, and what it may not.

#include "marketd/page/static_files.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace nom::marketd {
namespace {

namespace fs = std::filesystem;

class StaticFilesTest : public ::testing::Test {
 protected:
  StaticFilesTest() {
    std::string name = ::testing::TempDir() + "/page-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    fs::create_directories(directory_ / "assets");
  }
  ~StaticFilesTest() override { fs::remove_all(directory_); }
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ / name) << text;
  }
  fs::path directory_;
};

TEST_F(StaticFilesTest, FilesAreFoundByTheirWholeNames) {
  Write("index.html", "<p>");
  Write("assets/app-1.js", "js");
  Write("secret.token", "s");
  fs::create_symlink("/etc/passwd", directory_ / "passwd");
  const auto files = StaticFiles::Load(directory_.string());
  ASSERT_TRUE(files.ok()) << files.status();
  ASSERT_NE(files->Find("/"), nullptr);
  EXPECT_EQ(files->Find("/")->body, "<p>");
  EXPECT_FALSE(files->Find("/")->immutable);
  ASSERT_NE(files->Find("/assets/app-1.js"), nullptr);
  EXPECT_TRUE(files->Find("/assets/app-1.js")->immutable);
  EXPECT_EQ(files->Find("/assets/app-1.js")->content_type, "text/javascript; charset=utf-8");
  for (const char* path : {"", "/assets", "/assets/", "/secret.token", "/passwd", "//index.html",
                           "/assets/../index.html", "/../../etc/passwd", "index.html"}) {
    EXPECT_EQ(files->Find(path), nullptr) << path;
  }
}

TEST_F(StaticFilesTest, WithoutAnIndexThereIsNoPage) {
  EXPECT_TRUE(absl::IsFailedPrecondition(StaticFiles::Load(directory_.string()).status()));
  EXPECT_TRUE(absl::IsNotFound(StaticFiles::Load("/nowhere").status()));
}

TEST_F(StaticFilesTest, TooMuchIsRefused) {
  Write("index.html", std::string((8 << 20) + 1, 'x'));
  EXPECT_TRUE(absl::IsFailedPrecondition(StaticFiles::Load(directory_.string()).status()));
  Write("index.html", "x");
  for (int i = 0; i < 64; ++i) Write("assets/" + std::to_string(i) + ".js", "x");
  EXPECT_TRUE(absl::IsFailedPrecondition(StaticFiles::Load(directory_.string()).status()));
}

}  // namespace
}  // namespace nom::marketd
