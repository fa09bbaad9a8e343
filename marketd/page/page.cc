// SPDX-License-Identifier: Apache-2.0
#include "marketd/page/page.h"

#include <utility>

#include "absl/strings/match.h"
#include "marketd/base/log.h"
#include "marketd/base/status.h"

namespace nom::marketd {
namespace {

// Nothing from elsewhere, nothing inline, in nobody's frame; a token is never sent anywhere but
// here, and no address of ours to others.
constexpr std::pair<const char*, const char*> kSecurityHeaders[] = {
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
     "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
};

constexpr char kNoFiles[] =
    "marketd answers here, but its page is not installed: it is built by npm (see "
    "deploy/handbook/page.md).\nWhat it would show is below /api/v1/, as JSON.\n";

}  // namespace

Page::Page(const PageOptions& options, PageSources sources)
    : history_(*sources.reader), api_(sources, history_, options.version) {
  absl::StatusOr<StaticFiles> files = StaticFiles::Load(options.directory);
  if (files.ok()) {
    files_ = *std::move(files);
  } else {
    Log(LogLevel::kWarning, "page_without_files", {{"msg", files.status().message()}});
  }
  OnView(sources.view());
}

absl::StatusOr<std::unique_ptr<Page>> Page::Start(const PageOptions& options, PageSources sources) {
  std::unique_ptr<Page> out(new Page(options, std::move(sources)));
  NOM_ASSIGN_OR_RETURN(
      out->server_,
      HttpServer::Start({.listen = options.listen, .connections_max = options.connections_max},
                        [page = out.get()](const HttpRequest& request, const HttpDone& done) {
                          page->Answer(request, done);
                        }));
  return out;
}

void Page::Answer(const HttpRequest& request, const HttpDone& done) {
  const HttpDone with_headers = [done](HttpAnswer answer) {
    for (const auto& [name, value] : kSecurityHeaders) answer.headers.emplace_back(name, value);
    done(std::move(answer));
  };
  if (absl::StartsWith(request.path, "/api/")) {
    api_.Answer(request, with_headers);
    return;
  }
  const StaticFile* const file = files_ ? files_->Find(request.path) : nullptr;
  if (file != nullptr) {
    with_headers(
        {.content_type = file->content_type,
         .body = file->body,
         .headers = {{"Cache-Control",
                      file->immutable ? "public, max-age=31536000, immutable" : "no-cache"}}});
  } else if (!files_ && request.path == "/") {
    with_headers({.code = 503, .body = kNoFiles});
  } else {
    with_headers({.code = 404, .body = "there is no such file; the page is at /\n"});
  }
}

}  // namespace nom::marketd
