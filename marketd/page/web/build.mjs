// SPDX-License-Identifier: Apache-2.0
// Makes the page: node build.mjs OUTPUT_DIR. Names below assets/ carry a hash of the content, so that browsers may keep
// them for ever; index.html names them and is asked for anew each time.

import { build } from "esbuild";
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";

const out = path.resolve(process.argv[2] ?? "dist");
const here = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname);
await rm(out, { recursive: true, force: true });
await mkdir(path.join(out, "assets"), { recursive: true });

const result = await build({
  absWorkingDir: here,
  entryPoints: ["src/main.js", "src/style.css"],
  outdir: path.join(out, "assets"),
  entryNames: "[name]-[hash]",
  bundle: true,
  minify: true,
  format: "esm",
  target: ["chrome109", "firefox102", "safari15.4"],
  legalComments: "eof",
  metafile: true,
  logLevel: "warning",
});

let html = await readFile(path.join(here, "src/index.html"), "utf8");
for (const [file, made] of Object.entries(result.metafile.outputs)) {
  if (!made.entryPoint) continue;
  const from = `./${path.basename(made.entryPoint)}`;
  if (!html.includes(`"${from}"`)) throw new Error(`src/index.html does not name ${from}`);
  html = html.replace(`"${from}"`, `"assets/${path.basename(file)}"`);
}
await writeFile(path.join(out, "index.html"), html);
await cp(path.join(here, "src/icon.svg"), path.join(out, "icon.svg"));
// What others wrote and is in the files above.
await writeFile(
  path.join(out, "licenses.txt"),
  `uPlot\n\n${await readFile(path.join(here, "node_modules/uplot/LICENSE"), "utf8")}`,
);
