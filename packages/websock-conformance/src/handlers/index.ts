/**
 * The conformance suite: test cases for the behaviour of handlers, which every host must pass. The author of a host
 * implements {@link ConformanceHost}, which serves the scripted handler, and passes each case to a test runner:
 *
 * ```ts
 * setPubSub(new PubSub({ strict: true }));
 * for (const { name, run } of casesFor(host)) test(name, () => run(host));
 * ```
 */

import { closingBehindMessages } from "./closing-behind-messages.ts";
import { contexts } from "./contexts.ts";
import { endings } from "./endings.ts";
import type { ConformanceCase, ConformanceHost } from "./host.ts";
import { order } from "./order.ts";
import { outside } from "./outside.ts";
import { results } from "./results.ts";
import { topics } from "./topics.ts";

export type { ConformanceCase, ConformanceClient, ConformanceHost, Connected, Got, Scenario } from "./host.ts";
export { connectPath, control, type RemoteControls, scenarioOf } from "./remote.ts";
/** The handler that the host must serve: pass it to `upgrade`. */
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
  setPubSub,
  whenTerminated,
} from "./script.ts";

/** All cases of the suite. {@link casesFor} selects those that apply to a host. */
export const conformance: readonly ConformanceCase[] = [
  ...results,
  ...endings,
  ...order,
  ...closingBehindMessages,
  ...outside,
  ...contexts,
  ...topics,
];

/** Returns the cases that apply to a host, according to its capabilities. */
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
