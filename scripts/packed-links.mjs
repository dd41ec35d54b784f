// Finds dead links in the Markdown files of a package: a relative link must lead to a file of the tarball, and a
// fragment to a heading.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, posix } from "node:path";

/** The fragment that GitHub and npm give to a heading. */
export const slug = (heading) =>
  heading
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .replaceAll(/\s/g, "-");

const withoutCode = (text) => text.replaceAll(/^( *)```.*?^\1```/gms, "").replaceAll(/`[^`\n]*`/g, "");
const headingsOf = (text) =>
  [...text.replaceAll(/^```.*?^```/gms, "").matchAll(/^#+ (.*)$/gm)].map(([, heading]) => slug(heading));
const linksOf = (text) => [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link);

/** @returns a line for each dead link in the package of this folder */
export const deadLinks = (folder) => {
  const pack = ["pack", "--dry-run", "--json", "--ignore-scripts"];
  const [{ files }] = JSON.parse(
    execFileSync("npm", pack, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }),
  );
  const packed = new Set(files.map(({ path }) => path));
  const read = (path) => readFileSync(join(folder, path), "utf8");
  const isDead = (from, link) => {
    const [path, fragment] = link.split("#");
    const target = path === "" ? from : posix.join(posix.dirname(from), path);
    if (!packed.has(target)) return true;
    return fragment !== undefined && !headingsOf(read(target)).includes(fragment);
  };
  return [...packed]
    .filter((path) => path.endsWith(".md"))
    .flatMap((path) =>
      linksOf(read(path))
        .filter((link) => !/^[a-z]+:/.test(link) && isDead(path, link))
        .map((link) => `${path}: ${link}`),
    );
};
