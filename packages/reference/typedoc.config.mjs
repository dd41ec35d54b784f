/** The API reference of the documentation site: a page for each entry of the package, made from its docstrings. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Converter, ReflectionKind } from "typedoc";

/** @type {{ exports: Record<string, string | { types: string }> }} */
const { exports } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
/** The source of each entry, and the name by which it is imported. */
const entries = Object.entries(exports).flatMap(([path, target]) =>
  typeof target === "string"
    ? []
    : [{ name: path.replace(/^\./, "websock-js"), source: target.types.replace(/^\.\/dist\/(.*)\.d\.ts$/, "src/$1") }],
);

/** Names each module as it is imported. @param {import("typedoc").Application} app */
const importNames = ({ converter }) =>
  converter.on(Converter.EVENT_CREATE_DECLARATION, (_context, reflection) => {
    if (!reflection.kindOf(ReflectionKind.Module)) return;
    const entry = entries.find(({ source }) =>
      [`src/${reflection.name}`, `src/${reflection.name}/index`].includes(source),
    );
    if (entry === undefined) throw new Error(`no entry of the package is ${reflection.name}`);
    reflection.name = entry.name;
  });

export default {
  name: "API reference",
  plugin: ["typedoc-plugin-markdown", importNames],
  entryPoints: entries.map(({ source }) => fileURLToPath(new URL(`../../${source}.ts`, import.meta.url))),
  tsconfig: "../../tsconfig.build.json",
  basePath: "../../src",
  out: "../../docs/reference",
  router: "module",
  // `npm run types` checks the sources.
  skipErrorChecking: true,
  readme: "none",
  entryFileName: "modules",
  hideBreadcrumbs: true,
  hidePageHeader: true,
  disableSources: true,
  excludeInternal: true,
  excludePrivate: true,
  excludeExternals: true,
  parametersFormat: "table",
  useHTMLAnchors: true,
};
