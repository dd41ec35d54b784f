/** Cases: callbacks and listeners of `self.signal` run in the AsyncLocalStorage context of their own `upgrade` call. */
import { expectEnd, open } from "./endings.ts";
import {
  type ConformanceCase,
  type ConformanceHost,
  type Connected,
  equal,
  eventually,
  type Scenario,
} from "./host.ts";
import type { Step } from "./script.ts";

/** Opens two connections: with a single one, a context that leaks between connections would go unnoticed. */
const openTwo = async (host: ConformanceHost, scenario: Scenario): Promise<readonly Connected[]> => [
  await open(host, scenario),
  await open(host, scenario),
];

const expectOwnContext = async ({ report }: Connected): Promise<void> =>
  equal((await report()).contexts, ["own"], "the AsyncLocalStorage contexts of the callbacks");

const steps: Readonly<Record<string, Step>> = {
  "a synchronous handler": { echo: true },
  "an asynchronous handler": { async: "turn", echo: true },
  "infos, which the handlers of both connections send": { infos: ["a", "b"], echo: true },
};

const ends: Readonly<Record<string, readonly [(connected: Connected, host: ConformanceHost) => unknown, string]>> = {
  "the client closes": [({ client }) => client.close(1000), "remote"],
  "the client disconnects": [({ client }) => client.drop(), "error ConnectionLost"],
  "self.stop from outside": [({ act }) => act({ do: "stop", reason: "normal" }), "normal"],
  "the server closes": [(_, host) => host.shutdown!(1001), "shutdown"],
  "the idle timeout": [(_, host) => host.advance!(1_000), "timeout"],
};

export const contexts: readonly ConformanceCase[] = [
  ...Object.entries(steps).map(
    ([what, step]): ConformanceCase => ({
      name: `callbacks run in the context of their upgrade call: ${what}`,
      needs: ["asyncContext"],
      run: async (host) => {
        const connections = await openTwo(host, { script: { handleIn: [step] } });
        for (const { client } of connections) for (const data of ["1", "2", "3"]) client.send("text", data);
        for (const connected of connections) {
          for (const data of ["1", "2", "3"]) equal(await connected.client.next(), ["text", data], "the client got");
          const calls = step.infos === undefined ? 4 : 10;
          await eventually(connected, (report) => report.calls.length === calls);
          await expectOwnContext(connected);
          connected.client.close(1000);
          await expectEnd(connected, "remote");
          await expectOwnContext(connected);
        }
      },
    }),
  ),
  ...Object.entries(ends).map(
    ([what, [end, reason]]): ConformanceCase => ({
      name: `terminate and the listeners of the signal run in the context of their upgrade call: ${what}`,
      needs: [
        "asyncContext",
        ...(what.startsWith("self") ? (["crossConnection"] as const) : []),
        ...(what.startsWith("the server") ? (["shutdown"] as const) : []),
        ...(what.startsWith("the idle") ? (["advance", "idleClock"] as const) : []),
      ],
      honours: what.startsWith("the idle") ? ["timeout"] : [],
      run: async (host) => {
        const connections = await openTwo(host, { script: {}, options: { timeout: 1_000, heartbeat: false } });
        for (const connected of connections) await end(connected, host);
        for (const connected of connections) {
          await expectEnd(connected, reason);
          await expectOwnContext(connected);
        }
      },
    }),
  ),
  {
    name: "a store that a callback sets with enterWith does not reach the callbacks of later messages",
    needs: ["asyncContext"],
    run: async (host) => {
      const [first, second] = await openTwo(host, { script: { handleIn: [{ enterWith: "leaked", echo: true }] } });
      for (const connected of [first!, second!, first!, second!]) {
        connected.client.send("text", "1");
        equal(await connected.client.next(), ["text", "1"], "the client got");
      }
      for (const connected of [first!, second!]) {
        await expectOwnContext(connected);
        connected.client.close(1000);
        await expectEnd(connected, "remote");
        await expectOwnContext(connected);
      }
    },
  },
];
