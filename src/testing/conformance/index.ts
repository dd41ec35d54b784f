/**
 * The conformance suite: the semantics of a handler, as cases that any host can be run against. A host brings a
 * {@link ConformanceHost}, which serves the scripted handler, and hands each case to its test runner:
 *
 * ```ts
 * for (const { name, run } of casesFor(host)) test(name, () => run(host));
 * ```
 */

import { closingAtOnce } from "./closing-at-once.ts";
import { contexts } from "./contexts.ts";
import { endings } from "./endings.ts";
import type { ConformanceCase, ConformanceHost } from "./host.ts";
import { order } from "./order.ts";
import { outside } from "./outside.ts";
import { results } from "./results.ts";

export type { ConformanceCase, ConformanceClient, ConformanceHost, Connected, Got, Scenario } from "./host.ts";
export { connectPath, control, type RemoteControls, scenarioOf } from "./remote.ts";
export * as ScriptedHandler from "./script.ts";
export {
  type Action,
  actOn,
  inOwnContext,
  openGate,
  type Report,
  reportOf,
  type Script,
  type Scripted,
  type Step,
  whenTerminated,
} from "./script.ts";

/** Every case. */
export const conformance: readonly ConformanceCase[] = [
  ...results,
  ...endings,
  ...order,
  ...closingAtOnce,
  ...outside,
  ...contexts,
];

/** The cases that make sense for a host, by what it says that it can do. */
export const casesFor = (host: ConformanceHost): readonly ConformanceCase[] =>
  conformance.filter(
    ({ needs = [], lacks = [], honours = [], ignores = [] }) =>
      needs.every((need) =>
        need === "advance" || need === "shutdown" || need === "stop"
          ? host[need] !== undefined
          : host.capabilities[need],
      ) &&
      lacks.every((ability) => !host.capabilities[ability]) &&
      honours.every((option) => !host.capabilities.ignores.includes(option)) &&
      ignores.every((option) => host.capabilities.ignores.includes(option)),
  );
