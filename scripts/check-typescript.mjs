/**
 * The published types under every version of TypeScript that is supported, and every way in which those resolve
 * modules, with `skipLibCheck: false`: a user's own settings must not matter. Then whether "go to definition" ends in a
 * source.
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

/** By name: the compiler options that choose it. */
const RESOLUTIONS = {
  node10: { module: "esnext", moduleResolution: "node10" },
  node16: { module: "node16", moduleResolution: "node16" },
  nodenext: { module: "nodenext", moduleResolution: "nodenext" },
  bundler: { module: "esnext", moduleResolution: "bundler" },
};

/**
 * `Uint8Array<ArrayBuffer>` in our types needs 5.7. TypeScript 6 asks to be told that node10 is known to be deprecated.
 */
const VERSIONS = {
  5.7: Object.keys(RESOLUTIONS),
  5.8: Object.keys(RESOLUTIONS),
  5.9: Object.keys(RESOLUTIONS),
  "6.0": Object.keys(RESOLUTIONS),
  // It has removed node10: error TS5108.
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
 * Puts the tarball's files where a package manager would, with the types of Node beside them. Returns where they are.
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
  // What a user writes is ESM.
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

/** TypeScript 7 has no API in JavaScript; but it is fast. */
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
 * Of the program's files, checks the user's and ours: most of the time would go into the types of the language and of
 * Node.
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

/** Every file has a map that leads to files which are in the tarball, too. */
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
