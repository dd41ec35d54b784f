/** A page of the documentation site for each error code: its section of errors.md. */
import { readFileSync } from "node:fs";

const sections = readFileSync(new URL("../errors.md", import.meta.url), "utf8")
  .split(/^### /m)
  .slice(1);

/** The same links, from a folder below. */
const moved = (markdown: string): string =>
  markdown.replaceAll(/\]\((?!#|[a-z]+:)/g, "](../").replaceAll("](#", "](../errors.md#");

export default {
  watch: ["../errors.md"],
  paths: sections.map((section) => {
    const [code = ""] = section.split("\n");
    // What follows the section is the heading of the next group.
    const text = section.slice(code.length).replace(/^## [\s\S]*/m, "");
    return { params: { code }, content: `# ${code}\n${moved(text)}\n[All errors](../errors.md)\n` };
  }),
};
