/** The documentation site. Its pages are Markdown files of the repository, so that they can be read there as well. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type DefaultTheme, defineConfig, type MarkdownOptions } from "vitepress";
import { slug } from "../../scripts/packed-links.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));
const { exports, homepage } = JSON.parse(readFileSync(`${root}package.json`, "utf8")) as {
  readonly exports: Readonly<Record<string, unknown>>;
  readonly homepage?: string;
};
const entries = Object.keys(exports)
  .filter((path) => !path.endsWith(".json"))
  .map((path) => path.replace(/^\./, "websock-js"));

type Item = DefaultTheme.SidebarItem;

/** An entry of the sidebar. Pages that this checkout does not have are left out. */
const page = (text: string, path: string): readonly Item[] =>
  existsSync(`${root}${path}.md`) ? [{ text, link: `/${path === "README" ? "" : path}` }] : [];
const doc = (text: string, name: string): readonly Item[] => page(text, `docs/${name}`);

const section = (text: string, ...items: readonly (readonly Item[])[]): Item => ({ text, items: items.flat() });
const closed = (text: string, ...items: readonly (readonly Item[])[]): Item => ({
  ...section(text, ...items),
  collapsed: true,
});

const sidebar: Item[] = [
  section(
    "Getting started",
    page("What it is", "README"),
    doc("Frameworks and hosts", "getting-started"),
    page("Examples", "examples/README"),
  ),
  section(
    "Guide",
    doc("The handler", "handler"),
    doc("Life of a connection", "lifecycle"),
    doc("Options", "options"),
    doc("Origins and proxies", "origins"),
    doc("Typed messages", "typed"),
    doc("Streaming", "streaming"),
    doc("Binary messages", "binary"),
    doc("Compression", "compression"),
    doc("Errors", "errors"),
  ),
  section(
    "Between connections",
    doc("Topics and rooms", "pubsub"),
    doc("Several machines", "nodes"),
    doc("Presence", "presence"),
    doc("Resume", "resume"),
    doc("Phoenix channels", "channels"),
    doc("Isolation", "isolation"),
  ),
  section(
    "Operations",
    doc("Security", "security"),
    [
      closed(
        "Deployment",
        doc("Overview", "deployment/overview"),
        doc("nginx", "deployment/nginx"),
        doc("HAProxy", "deployment/haproxy"),
        doc("Caddy", "deployment/caddy"),
        doc("AWS Application Load Balancer", "deployment/alb"),
        doc("Cloudflare", "deployment/cloudflare"),
        doc("Kubernetes", "deployment/kubernetes"),
      ),
    ],
    doc("Operating", "operating"),
    doc("Diagnostics", "diagnostics"),
    doc("Performance", "performance"),
    doc("Scaling", "scaling"),
    doc("Testing", "testing"),
  ),
  closed(
    "Hosts",
    doc("Capabilities", "hosts"),
    doc("Node", "node"),
    doc("Conformance on the wire", "wire-conformance"),
  ),
  closed(
    "Migration",
    doc("From ws", "migration/ws"),
    doc("From crossws", "migration/crossws"),
    doc("From express-ws", "migration/express-ws"),
    doc("From @fastify/websocket", "migration/fastify-websocket"),
    doc("From Socket.IO", "migration/socket-io"),
    doc("From Elixir's WebSock", "migration/elixir"),
  ),
  closed(
    "Recipes",
    doc("Authenticate", "recipes/authentication"),
    doc("Refuse with a reason", "recipes/refusal"),
    doc("Kick a user", "recipes/kick"),
    doc("Limit the rate", "recipes/rate-limit"),
    doc("Reconnect", "recipes/reconnect"),
    doc("JSON with a schema", "recipes/json-schema"),
    doc("GraphQL subscriptions", "recipes/graphql-ws"),
    doc("Yjs", "recipes/yjs"),
  ),
  closed(
    "Reference",
    doc("All modules", "reference/modules"),
    ...entries.map((name) => doc(name, `reference/${name}`)),
    page("Architecture", "ARCHITECTURE"),
    page("Contributing", "CONTRIBUTING"),
    page("Changelog", "CHANGELOG"),
  ),
];

/** Links to files that are not pages, such as sources, lead to the repository; without one, they are plain text. */
const linkSources: NonNullable<MarkdownOptions["config"]> = (md) => {
  const isSource = (href: string): boolean => !/^([a-z]+:|#)/.test(href) && !/\.(md|svg|png)(#|$)/.test(href);
  const render = md.renderer.renderToken.bind(md.renderer);
  md.core.ruler.push("source-links", ({ tokens, env }) => {
    for (const { children } of tokens) {
      const open: boolean[] = [];
      for (const token of children ?? []) {
        if (token.type === "link_open") {
          const href = token.attrGet("href") ?? "";
          open.push(isSource(href));
          if (!isSource(href)) continue;
          const { pathname } = new URL(href, `file:///${(env as { relativePath: string }).relativePath}`);
          if (homepage === undefined) token.tag = "span";
          else token.attrSet("href", `${homepage.replace(/#.*/, "")}/blob/main${pathname}`);
          if (homepage === undefined) token.attrs = null;
        } else if (token.type === "link_close" && open.pop() === true && homepage === undefined) token.tag = "span";
      }
    }
  });
  // The rule of VitePress for links expects an address.
  const rule = md.renderer.rules.link_open;
  md.renderer.rules.link_open = (tokens, index, options, env, self) =>
    tokens[index]?.tag === "span" || rule === undefined
      ? render(tokens, index, options)
      : rule(tokens, index, options, env, self);
};

/** Blocks of code between these comments become tabs. On GitHub, they follow each other. */
const tabs: NonNullable<MarkdownOptions["config"]> = (md) => {
  md.core.ruler.before("normalize", "tabs", (state) => {
    state.src = state.src.replaceAll("<!-- tabs -->", "::: code-group").replaceAll("<!-- /tabs -->", ":::");
  });
};

export default defineConfig({
  title: "WebSock",
  description: "A request handler, but for WebSockets: on Node, Bun, Deno, Cloudflare Workers and ws.",
  srcDir: "..",
  srcExclude: ["src/**", "packages/**", "test/**", "runtimes/**", "tracers/**", "scripts/**"],
  rewrites: { "README.md": "index.md" },
  cleanUrls: true,
  // The colours of diagrams and charts are those of the reader's system, which the page cannot change.
  appearance: "force-auto",
  // A server of the reader.
  ignoreDeadLinks: [/^https?:\/\/localhost/],
  // Links between pages work here and on GitHub.
  markdown: {
    anchor: { slugify: slug },
    languageAlias: { haproxy: "ini", caddy: "nginx" },
    config: (md) => {
      tabs(md);
      linkSources(md);
    },
  },
  vite: { logLevel: "warn" },
  themeConfig: {
    sidebar,
    nav: [
      { text: "Get started", link: "/docs/getting-started" },
      { text: "Handler", link: "/docs/handler" },
      { text: "Recipes", link: "/docs/recipes/authentication" },
      { text: "Reference", link: "/docs/reference/modules" },
    ],
    outline: [2, 3],
    search: { provider: "local" },
  },
});
