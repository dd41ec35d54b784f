/** The benchmarks keep what they have measured, whatever becomes of one of those who are compared. */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { MissingRuntime } from "../../bench/lib/engines.mjs";
import { compare, takeTurns } from "../../bench/lib/rounds.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));
const participants = ["a", "b", "c"].map((label) => ({ label, server: label }));

describe("rounds", () => {
  test("everybody takes turns, and each round begins with another one", async () => {
    const order: string[] = [];
    await takeTurns(participants, 3, async ({ label }) => void order.push(label));
    expect(order.join("")).toBe("abcbcacab");
  });

  test("one that fails keeps its rounds until then, is not tried again, and costs the others nothing", async () => {
    let calls = 0;
    const rows = await takeTurns(participants, 3, async ({ label }, round) => {
      if (label === "b" && ++calls === 2) throw new Error("it has died");
      return { rate: round };
    });
    expect(calls).toBe(2);
    expect(rows.map(({ samples }) => samples.length)).toEqual([3, 1, 3]);
    expect(rows[1]).toMatchObject({ problem: "failed in round 2 of 3: it has died", missing: false });
  });

  test("a runtime that is not installed is left out, and is no failure", async () => {
    const [a, b] = await takeTurns(participants, 1, async ({ label }) => {
      if (label === "b") throw new MissingRuntime("bun is not installed");
      return { rate: 1 };
    });
    expect(a!.samples).toEqual([{ rate: 1 }]);
    expect(b).toMatchObject({ samples: [], problem: "left out: bun is not installed", missing: true });
  });

  test("an interruption keeps what was measured before", async () => {
    let stopped = false;
    const rows = await takeTurns(
      participants,
      3,
      async ({ label }, round) => {
        if (label === "b" && round === 1) {
          stopped = true;
          throw new Error("the interruption has ended the server too");
        }
        return { rate: round };
      },
      { stopped: () => stopped },
    );
    expect(rows.map(({ samples, problem }) => [samples.length, problem])).toEqual(Array(3).fill([1, undefined]));
  });

  test("a comparison takes the rounds that both have", () => {
    const row = (label: string, rates: (number | undefined)[]) => ({
      label,
      server: label,
      samples: rates.map((rate) => (rate === undefined ? undefined : { rate })),
    });
    const of = ({ rate }: { rate: number }): number => rate;
    expect(compare(row("a", [10, 30, 20, 40]), row("b", [10, 10, undefined, 80]), of)).toEqual({
      ratio: 1,
      ofMedians: 3,
      low: 0.75,
      high: 2,
      min: 0.5,
      max: 3,
      rounds: 3,
    });
    expect(compare(row("a", [10]), row("b", []), of)).toBeUndefined();
  });
});

interface Report {
  readonly problems: readonly string[];
  readonly cases: readonly {
    readonly case: string;
    readonly servers: readonly { readonly label: string; readonly rate?: number; readonly against?: object }[];
  }[];
}

const echo = (...args: readonly string[]): Promise<{ code: unknown; report: Report }> =>
  new Promise((resolve) => {
    const short = ["--rounds", "2", "--seconds", "0.1", "--warmup", "0.1", "--json"];
    execFile(process.execPath, ["bench/echo.mjs", ...short, ...args], { cwd: root }, (error, stdout) =>
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

const measured = ({ cases }: Report): unknown =>
  cases.map(({ servers }) => servers.map(({ rate }) => rate !== undefined));

// Each measurement starts two processes: on a busy machine that takes seconds.
describe("bench/echo.mjs", { timeout: 120_000 }, () => {
  test("leaves out the rows of a runtime that is not installed", async () => {
    const only = ["--rounds", "1", "--only", "32B-1-binary", "--servers", "net", "--only", "deno-32B-1"];
    const { code, report } = await echo("--runtimes", "/nowhere", ...only);
    expect(report.cases.map((one) => one.case)).toEqual(["32B-1-binary", "deno-32B-16", "deno-32B-1"]);
    expect(measured(report)).toEqual([[true, true], [false], [false]]);
    expect(report.problems[0]).toMatch(/^deno-32B-16: deno: left out: deno is not installed: there is no \/nowhere\//);
    expect(report.problems).toHaveLength(2);
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
    const { code, report } = await echo("--only", "32B-16-binary", "--against", buildThat(attach));
    expect(measured(report)).toEqual([[true, sound]]);
    const [, other] = report.cases[0]!.servers;
    expect(other!.label).toMatch(/^websock@websock-js-build-/);
    if (sound) expect(other!.against).toMatchObject({ rounds: 2 });
    else expect(report.problems[0]).toMatch(/failed in round 1 of 2: servers\/websock.mjs exited with code 3/);
    expect(report.problems).toHaveLength(sound ? 0 : 1);
    expect(code).toBe(sound ? 0 : 1);
  });
});
