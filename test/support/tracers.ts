/** Runs programs with the tracers in `tracers/`, each in a process of its own. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { isUsable } from "../../scripts/installed.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

export const TRACERS = { opentelemetry: "@opentelemetry/api", sentry: "@sentry/node", "dd-trace": "dd-trace" } as const;

export type Tracer = keyof typeof TRACERS;

/** Whether the tracer is installed. If not, a message is printed, and its tests are skipped; in CI, it throws. */
export const haveTracer = (name: Tracer): boolean =>
  isUsable(
    existsSync(`${root}tracers/node_modules/${TRACERS[name]}`),
    `${name} is not installed: cd tracers && npm ci`,
  );

export interface Span {
  readonly name: string;
  readonly trace?: string;
  readonly id?: string;
  readonly parent?: string;
  readonly user?: string;
}

/** Runs `test/tracers/<name>.mjs`, and returns the spans that it has recorded. */
export const spansOf = async (name: Tracer, ...args: readonly string[]): Promise<readonly Span[]> => {
  const { stdout } = await promisify(execFile)(process.execPath, [`test/tracers/${name}.mjs`, ...args], {
    cwd: root,
    env: { ...process.env, DD_INSTRUMENTATION_TELEMETRY_ENABLED: "false" },
  });
  return JSON.parse(stdout.trim().split("\n").at(-1)!) as Span[];
};
