// Checks the documentation site as it was built: each link must lead to a page, a fragment to a heading, and each error
// code must have a page. (VitePress only warns when it cannot make pages.)
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { fileURLToPath } from "node:url";

const dist = fileURLToPath(new URL("../docs/.vitepress/dist/", import.meta.url));

/** @param {string} file */
const read = (file) => readFileSync(join(dist, file), "utf8");
/** @param {string} text */
const unescaped = (text) => text.replaceAll("&amp;", "&");

/** The file that a server sends for this path. @param {string} path */
const fileFor = (path) =>
  [path.slice(1), `${path.slice(1)}.html`, posix.join(path.slice(1), "index.html")].find(
    (file) => file !== "" && existsSync(join(dist, file)) && file.includes("."),
  );

const pages = readdirSync(dist, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".html"));
const ids = new Map(
  pages.map((name) => [name, new Set([...read(name).matchAll(/ id="([^"]+)"/g)].map(([, id]) => id))]),
);

const dead = pages.flatMap((name) =>
  [...read(name).matchAll(/<a\b[^>]* href="([^"]+)"/g)]
    .map(([, href]) => unescaped(href ?? ""))
    .filter((href) => !/^[a-z]+:/.test(href))
    .filter((href) => {
      const { pathname, hash } = new URL(href, `file:///${name}`);
      const file = href.startsWith("#") ? name : fileFor(decodeURIComponent(pathname));
      if (file === undefined) return true;
      return hash !== "" && ids.get(file)?.has(decodeURIComponent(hash.slice(1))) === false;
    })
    .map((href) => `${name}: ${href}`),
);
if (pages.length === 0) throw new Error("the site has no pages: vitepress build docs");
const codes = readFileSync(new URL("../docs/errors.md", import.meta.url), "utf8").match(/(?<=^### )\w+/gm) ?? [];
const missing = codes.filter((code) => !pages.includes(`docs/errors/${code}.html`));
if (missing.length > 0) throw new Error(`there is no page for ${missing.join(", ")}`);
if (dead.length > 0) throw new Error(`links that lead nowhere:\n${[...new Set(dead)].join("\n")}`);
console.log(`${pages.length} pages, no dead link`);
