/**
 * Whole processes (PUBSUB.md §4): nothing that happens to an engine or a client ends one, although nothing listens for
 * the errors of the client; and nothing keeps one alive.
 */
import { describe, expect, test } from "vitest";
import { freePort } from "../../support/redis-server.ts";
import { failOnUncaught } from "../../support/uncaught.ts";
import { Child, type ChildState, startChild } from "./child.ts";
import { CLIENTS, type ClientName, cleanUpAfterEach, NATS, REDIS, startEngine, TIMES, until } from "./engines.ts";

failOnUncaught();
cleanUpAfterEach();

/** The types of its events. */
const typesOf = ({ events }: ChildState): string[] => events.map(({ type }) => type);

/** It still delivers to its own member. */
const expectAlive = async (child: Child): Promise<void> => {
  const content = `local ${Math.random()}`;
  await child.publish(content);
  await until(async () => (await child.state()).texts.includes(content));
};

/** It ends by itself once its node and its client are closed. */
const expectEnd = async (child: Child): Promise<void> => {
  await child.command("close");
  await child.command("closeClient");
  await child.command("release");
  expect(await child.ended).toBe(0);
  expect(child.stderr).toBe("");
};

describe.each(CLIENTS)("%s", (client) => {
  const start = async (options: { readonly port: number }): Promise<Child> => {
    const child = await startChild({ client, ...options, options: TIMES });
    await expectAlive(child);
    return child;
  };

  test("11: there is no engine when the process starts; then it is killed; then its client is closed", async () => {
    const port = await freePort();
    const child = new Child({ client, port, options: TIMES });
    // The client of NATS is only handed out once it has connected.
    if (client !== "nats") {
      await child.is("away");
      expect(await child.command("ready")).toBe(false);
      expect(await child.publish("nobody")).toBe(false);
      await expectAlive(child);
      await until(async () => typesOf(await child.state()).includes("away"));
    }
    const engine = await startEngine(client, { port });
    await child.is("up");
    await until(() => child.command("ready"));

    for (let outage = 0; outage < 2; outage++) {
      await engine.kill9();
      await child.is("away");
      await expectAlive(child);
      await engine.start();
      await child.is("up");
      await expectAlive(child);
    }

    await child.command("closeClient");
    await child.is("closed");
    const { events } = await child.state();
    expect(events.at(-1)).toMatchObject({ type: "closed", cause: expect.stringMatching(/clos/i) });
    expect(await child.publish("nobody")).toBe(false);
    await expectAlive(child);
    await child.command("close");
    await child.command("release");
    expect(await child.ended).toBe(0);
    expect(child.stderr).toBe("");
  });

  test("24: close() leaves nothing behind, and the client works", async () => {
    const engine = await startEngine(client);
    const child = await start(engine);
    await child.command("close");
    expect((await child.state()).status).toBe("closed");
    expect(await child.command("ping")).toBe(true);
    await until(async () => (await engine.subscribers("t:room")) + (await engine.subscribers("all")) === 0);
    await expectEnd(child);
  });

  test.each(["killed", "frozen"])("24: the same when the engine is %s", async (problem) => {
    const engine = await startEngine(client);
    const child = await start(engine);
    if (problem === "killed") {
      await engine.kill9();
      await child.is("away");
    } else engine.pause();
    // After close(), the listener of the backplane is gone, and the client is about to connect again.
    await child.command("listen");
    await child.command("close");
    expect((await child.state()).status).toBe("closed");
    if (problem === "killed") await engine.start();
    else engine.resume();
    await until(async () => child.command<boolean>("ping").catch(() => false));
    await expectEnd(child);
  });
});

describe.each(REDIS)("%s", (client) => {
  test("11: the password is wrong", async () => {
    const engine = await startEngine(client, { config: ["requirepass right"] });
    const child = new Child({ client, port: engine.port, password: "wrong", options: TIMES });
    await until(async () => typesOf(await child.state()).includes("away"));
    const { events } = await child.state();
    expect(events[0]).toMatchObject({ type: "away", cause: expect.stringMatching(/WRONGPASS/) });
    expect(await child.command("ready")).toBe(false);
    await expectAlive(child);
    await child.command("listen");
    await expectEnd(child);
  });
});

describe.each(NATS)("%s", (client: ClientName) => {
  test("11: a client that gives up after two attempts is closed", async () => {
    const engine = await startEngine(client);
    const child = await startChild({ client, port: engine.port, maxReconnectAttempts: 2, options: TIMES });
    const { events } = await child.state();
    expect(events).toContainEqual(
      expect.objectContaining({ type: "warning", message: expect.stringMatching(/maxReconnectAttempts is 2/) }),
    );
    await engine.kill9();
    await child.is("closed");
    await expectAlive(child);
    expect(await child.publish("nobody")).toBe(false);
    await engine.start();
    await expectAlive(child);
    expect((await child.state()).status).toBe("closed");
    await expectEnd(child);
  });

  test("11: a server that is started again with a password closes the client", async () => {
    const engine = await startEngine(client);
    const child = await startChild({ client, port: engine.port, options: TIMES });
    await engine.kill9();
    await startEngine(client, {
      port: engine.port,
      config: ["authorization { user: someone, password: secret }"],
    });
    await child.is("closed");
    expect((await child.state()).events.at(-1)).toMatchObject({
      type: "closed",
      cause: expect.stringMatching(/auth/i),
    });
    await expectAlive(child);
    await expectEnd(child);
  });
});
