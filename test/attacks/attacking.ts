/** Runs the attacks, each against a server of its own, and checks their costs. */
import { afterAll, expect, onTestFinished, test } from "vitest";
import { MeasuredServer } from "../support/measured-server.ts";
import { frame, TEXT } from "../support/raw-frames.ts";
import { ALWAYS, type Attack, type AttackTransport, type Costs } from "./attack.ts";
import { Field, isHealthy } from "./field.ts";

/** Which costs are above their bounds, or were not measured. */
const exceeded = (costs: Partial<Costs>, bounds: Partial<Costs>): object =>
  Object.fromEntries(
    Object.entries(bounds)
      .map(([name, bound]) => [name, { bound, measured: costs[name as keyof Costs] }] as const)
      .filter(([, { bound, measured }]) => measured === undefined || measured > bound),
  );

/** Uses the server like ordinary clients, so that what a server does only once is not measured. */
const warmUp = async (server: MeasuredServer, transport: AttackTransport): Promise<void> => {
  const field = new Field(server, transport);
  await field.many(20, async () => {
    const client = await field.connect("echo");
    for (let i = 0; i < 20; i++) await isHealthy(client, "ordinary ".repeat(i));
    await client.send(frame(TEXT, "m".repeat(70_000))).text();
  });
  field.leave();
  await server.ask("deserted");
};

const start = ({ name, tls }: AttackTransport, attack: Attack): Promise<MeasuredServer> =>
  MeasuredServer.start("attacks/server.mjs", {
    version: name,
    options: (name === "HTTP/1.1" ? attack.http : attack.http2) ?? {},
    ...(tls && { tls: { key: `${tls.key}`, cert: `${tls.cert}` } }),
  });

const mount = async (attack: Attack, transport: AttackTransport, server: MeasuredServer): Promise<Costs> => {
  await warmUp(server, transport);
  await server.ask("start");
  const field = new Field(server, transport);
  await attack.run(field);
  field.leave();
  await server.ask("deserted");
  const costs: Costs = { ...(await server.ask<Costs>("costs")), ...field.costs };
  const { happens, requests } = await server.ask<Pick<Attack, "happens" | "requests">>("events");
  const told = await server.ask("errors");
  if (attack.endsServer !== true) {
    await isHealthy(await field.connect("echo"));
    field.leave();
    await server.ask("deserted");
  }
  // All results are compared together: a single one rarely shows the cause of a failure.
  expect({
    ...(attack.happens && { happens }),
    ...(attack.requests && { requests }),
    told,
    connections: await server.ask("connections"),
    uncaught: await server.ask("uncaught"),
    exceeded: exceeded(costs, { ...ALWAYS, ...attack.bounds }),
  }).toEqual({
    ...(attack.happens && { happens: attack.happens }),
    ...(attack.requests && { requests: attack.requests }),
    told: [...(attack.told ?? [])].sort(),
    connections: 0,
    uncaught: [],
    exceeded: {},
  });
  return costs;
};

/** Defines a test for each attack. `measured` is called with its costs. */
export const testAttacks = (
  transport: AttackTransport,
  attacks: readonly Attack[],
  measured: (attack: Attack, costs: Costs) => void,
): void => {
  // A server takes a while to start, so each one starts during the previous attack.
  const started = new Map<Attack, Promise<MeasuredServer>>();
  const prepare = (attack: Attack): Promise<MeasuredServer> => {
    const server = started.get(attack) ?? start(transport, attack);
    started.set(attack, server);
    server.catch(() => undefined);
    return server;
  };
  afterAll(async () => {
    for (const server of started.values()) (await server).stop();
  });
  for (const [i, attack] of attacks.entries()) {
    test(attack.name, async () => {
      const server = await prepare(attack);
      // However the test ends: an overloaded server might not exit by itself.
      onTestFinished(() => server.stop());
      const next = attacks[i + 1];
      if (next !== undefined) void prepare(next);
      measured(attack, await mount(attack, transport, server));
    });
  }
};
