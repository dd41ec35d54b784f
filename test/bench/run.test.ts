/** The command that runs the benchmarks, with very short times. */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));

interface Report {
  readonly problems: readonly string[];
  readonly results: readonly {
    readonly workload: { readonly id: string };
    readonly rows: readonly {
      readonly label: string;
      readonly value?: number;
      readonly samples: readonly unknown[];
    }[];
  }[];
}

const bench = (...args: readonly string[]): Promise<{ code: unknown; report: Report }> =>
  new Promise((resolve) => {
    const short = ["--rounds", "2", "--seconds", "0.1", "--warmup", "0.1", "--json"];
    execFile(process.execPath, ["bench/run.mjs", ...short, ...args], { cwd: root }, (error, stdout) =>
      resolve({ code: error?.code ?? 0, report: JSON.parse(stdout) }),
    );
  });

/** A build of ours that does as this says. */
const buildThat = (attach: string): string => {
  const folder = mkdtempSync(join(tmpdir(), "websock-js-build-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const dist = pathToFileURL(`${root}dist/`).href;
  mkdirSync(join(folder, "adapters"));
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  writeFileSync(join(folder, "index.js"), `export * from "${dist}index.js";`);
  writeFileSync(
    join(folder, "adapters/node.js"),
    `import { attach as real } from "${dist}adapters/node.js"; export const attach = ${attach};`,
  );
  return folder;
};

const measured = ({ results }: Report): unknown =>
  results.map(({ rows }) => rows.map(({ value }) => value !== undefined));

// Each measurement starts two processes: on a busy machine that takes seconds.
describe("bench/run.mjs", { timeout: 120_000 }, () => {
  test("leaves out the rows of a runtime that is not installed", async () => {
    const only = ["--rounds", "1", "--only", "echo-32B-1-binary", "--servers", "net,deno", "--only", "deno-32B-1"];
    const { code, report } = await bench("--runtimes", "/nowhere", ...only);
    expect(report.results.map(({ workload }) => workload.id)).toEqual([
      "echo-32B-1-binary",
      "deno-32B-16",
      "deno-32B-1",
    ]);
    expect(measured(report)).toEqual([
      [true, true],
      [false, false],
      [false, false],
    ]);
    expect(report.problems[0]).toMatch(
      /^deno-32B-16: websock-deno: left out: deno is not installed: there is no \/nowhere\//,
    );
    expect(report.problems).toHaveLength(4);
    expect(code).toBe(0);
  });

  test.each([
    ["does not start", "() => process.exit(3)", false],
    [
      "dies while it is measured",
      "(server) => { real(server); server.on('connection', () => process.exit(3)); }",
      false,
    ],
    ["is as good as this one", "real", true],
  ])("compares with another build, which %s", async (_what, attach, sound) => {
    const { code, report } = await bench("--only", "echo-32B-16-binary", "--against", buildThat(attach));
    expect(measured(report)).toEqual([[true, sound]]);
    const [, other] = report.results[0]!.rows;
    expect(other!.label).toMatch(/^websock@websock-js-build-/);
    // How many of the rounds count for the ratio depends on what else the machine does.
    if (sound) expect(other!.samples.filter(Boolean)).toHaveLength(2);
    else expect(report.problems[0]).toMatch(/failed in round 1 of 2: servers\/websock.mjs exited with code 3/);
    expect(report.problems).toHaveLength(sound ? 0 : 1);
    expect(code).toBe(sound ? 0 : 1);
  });
});
