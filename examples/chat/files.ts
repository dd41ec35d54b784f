/** Serves the files of the page. */
import { readFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";

// HTML and CSS are served from the source folder, scripts from the folder of this module, into which tsc compiles them.
const FILES: readonly (readonly [path: string, type: string, file: string])[] = [
  ["/", "text/html", "../page/index.html"],
  ...["style", "room", "log", "inspector"].map(
    (name) => [`/page/${name}.css`, "text/css", `../page/${name}.css`] as const,
  ),
  ...["page/chat", "page/connection", "page/dom", "page/inspector", "page/log", "protocol"].map(
    (name) => [`/${name}.js`, "text/javascript", `./${name}.js`] as const,
  ),
];

// Read at the start, so that a missing file is an error then, and not of a later request.
const files = new Map(
  await Promise.all(
    FILES.map(
      async ([path, type, file]) => [path, { type, body: await readFile(new URL(file, import.meta.url)) }] as const,
    ),
  ),
);

const HEADERS = {
  "cache-control": "no-cache",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  // Trusted Types: the browser prevents the page from using what somebody wrote as HTML.
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; " +
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
} as const;

export const serveFile = (path: string, request: IncomingMessage, response: ServerResponse): void => {
  const file = files.get(path);
  if (file === undefined) {
    response.writeHead(404, { ...HEADERS, "content-type": "text/plain; charset=utf-8" }).end("there is no such page\n");
  } else if (request.method !== "GET" && request.method !== "HEAD") {
    response.writeHead(405, { ...HEADERS, allow: "GET, HEAD" }).end();
  } else {
    const { type, body } = file;
    response.writeHead(200, { ...HEADERS, "content-type": `${type}; charset=utf-8`, "content-length": body.length });
    response.end(body);
  }
};
