/**
 * Checks the published types with every supported version of TypeScript and every module resolution, with
 * `skipLibCheck: false`, so that they work with any settings of a user. Also checks that source maps lead to sources,
 * so that "go to definition" finds them.
 */
import { execFileSync, spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const programs = join(root, "test/typescript");

/** The compiler options of each module resolution. */
const RESOLUTIONS = {
  node10: { module: "esnext", moduleResolution: "node10" },
  node16: { module: "node16", moduleResolution: "node16" },
  nodenext: { module: "nodenext", moduleResolution: "nodenext" },
  bundler: { module: "esnext", moduleResolution: "bundler" },
};

/**
 * `Uint8Array<ArrayBuffer>` in our types needs 5.7. TypeScript 6 rejects node10, which is deprecated, unless
 * `ignoreDeprecations` is set.
 */
const VERSIONS = {
  5.7: Object.keys(RESOLUTIONS),
  5.8: Object.keys(RESOLUTIONS),
  5.9: Object.keys(RESOLUTIONS),
  "6.0": Object.keys(RESOLUTIONS),
  // TypeScript 7 has removed node10: error TS5108.
  7: ["node16", "nodenext", "bundler"],
};

const folder = realpathSync(mkdtempSync(join(tmpdir(), "websock-typescript-")));
try {
  execFileSync("npm", ["ci", "--no-audit", "--no-fund", "--silent"], { cwd: programs, stdio: "inherit" });
  const home = install();
  checkMaps(home);
  let failures = 0;
  for (const [version, resolutions] of Object.entries(VERSIONS)) {
    for (const resolution of resolutions) {
      const errors = (version === "7" ? errorsOfCommand : errorsOfProgram)(version, configure(version, resolution));
      console.log(`TypeScript ${version}, ${resolution}: ${errors || "ok"}`);
      if (errors) failures++;
    }
  }
  if (failures > 0) throw new Error(`the types fail in ${failures} of the combinations`);
} finally {
  rmSync(folder, { recursive: true });
}

/**
 * Unpacks the tarball where a package manager would, next to the types of Node. Returns the folder.
 */
function install() {
  execFileSync("npm", ["run", "-s", "build"], { cwd: root, stdio: "inherit" });
  const pack = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder];
  const [{ filename }] = JSON.parse(execFileSync("npm", pack, { cwd: root, stdio: ["ignore", "pipe", "ignore"] }));
  const home = join(folder, "node_modules/websock-js");
  mkdirSync(home, { recursive: true });
  execFileSync("tar", ["-xzf", join(folder, filename), "-C", home, "--strip-components", "1"]);
  mkdirSync(join(folder, "node_modules/@types"));
  symlinkSync(join(root, "node_modules/@types/node"), join(folder, "node_modules/@types/node"));
  // The user's program is an ES module.
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  copyFileSync(join(programs, "app.ts"), join(folder, "app.ts"));
  return home;
}

/** Writes the project of one combination, and returns its path. */
function configure(version, resolution) {
  const project = join(folder, `tsconfig.${version}.${resolution}.json`);
  const compilerOptions = {
    ...RESOLUTIONS[resolution],
    ...(version === "6.0" && resolution === "node10" && { ignoreDeprecations: "6.0" }),
    target: "es2022",
    lib: ["es2022"],
    types: ["node"],
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    esModuleInterop: true,
    noEmit: true,
  };
  writeFileSync(project, JSON.stringify({ compilerOptions, files: ["app.ts"] }));
  return project;
}

/** Runs the command `tsc`, because TypeScript 7 has no API in JavaScript. */
function errorsOfCommand(_version, project) {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [join(root, "node_modules/typescript/bin/tsc"), "-p", project],
    {
      cwd: folder,
      encoding: "utf8",
    },
  );
  return stdout + stderr;
}

/**
 * Checks only the user's file and ours: to check the types of the language and of Node would take most of the time.
 */
function errorsOfProgram(version, project) {
  const ts = createRequire(import.meta.url)(join(programs, `node_modules/typescript-${version}`));
  const host = {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic: (diagnostic) => console.error(diagnostic.messageText),
  };
  const { options, fileNames, errors } = ts.getParsedCommandLineOfConfigFile(project, {}, host);
  const program = ts.createProgram(fileNames, options);
  const ours = program.getSourceFiles().filter(({ fileName }) => fileName.startsWith(folder));
  if (!ours.some(({ fileName }) => fileName.endsWith("websock-js/dist/index.d.ts"))) return "websock-js is not found";
  const diagnostics = [
    ...errors,
    ...program.getOptionsDiagnostics(),
    ...program.getGlobalDiagnostics(),
    ...ours.flatMap((file) => [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]),
  ];
  return ts.formatDiagnostics(diagnostics, {
    getCanonicalFileName: (name) => name,
    getCurrentDirectory: () => folder,
    getNewLine: () => "\n",
  });
}

/** Checks that every file has a source map whose sources are in the tarball. */
function checkMaps(home) {
  const files = readdirSync(join(home, "dist"), { recursive: true }).map((file) => join(home, "dist", file));
  for (const file of files.filter((name) => /\.(?:js|d\.ts)$/.test(name))) {
    const map = `${file}.map`;
    if (!existsSync(map)) throw new Error(`${map} is missing`);
    const { sources } = JSON.parse(readFileSync(map, "utf8"));
    const missing = sources.find((source) => !existsSync(resolve(dirname(map), source)));
    if (sources.length === 0 || missing !== undefined)
      throw new Error(`${map} leads to ${missing}, which is not there`);
  }
}
