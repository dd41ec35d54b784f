/** The example `resume`: two server processes on each engine, clients that are killed, and the page in a browser. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { haveChromium, launchChromium } from "../../scripts/chromium.ts";
import { compileExample, ENGINES, type Engine, killAtRandom, type Node, Resuming, startNodes } from "./resume-nodes.ts";

beforeAll(compileExample);

const hasBrowser = haveChromium();

/** Ends what has been started, also if `beforeAll` has failed. */
const stop = async (engine: Engine | undefined, nodes: readonly Node[] | undefined): Promise<void> => {
  await Promise.all(nodes?.map((node) => node.stop()) ?? []);
  await engine?.stop();
};

for (const { engine: name, have, start } of ENGINES)
  describe.skipIf(!have())(name, () => {
    let engine: Engine;
    let nodes: readonly [Node, Node];
    beforeAll(async () => {
      engine = await start();
      nodes = await startNodes(engine);
    });
    afterAll(() => stop(engine, nodes));

    const visit = async (): Promise<Resuming> => {
      const client = new Resuming(...nodes);
      onTestFinished(() => client.kill());
      await client.ready;
      return client;
    };
    /** Sends messages, and waits until they have come back. */
    const append = async (client: Resuming, ...texts: string[]): Promise<void> => {
      const before = client.received.length;
      const from = crypto.randomUUID();
      for (const [i, text] of texts.entries()) client.send({ from, n: i + 1, text });
      await client.until(() => client.received.length === before + texts.length);
    };
    const texts = ({ received }: Resuming): string[] => received.map(({ data }) => JSON.parse(data).text);

    test("clients that are killed at random receive every message once, in the order of the store", () =>
      killAtRandom(engine, nodes, { messages: 1_000, kills: 20 }));

    test('a client whose last entry was trimmed is told "resync", and begins with what there is', async () => {
      const [ada, ben] = [await visit(), await visit()];
      await append(ada, "one", "two");
      await ben.until(() => texts(ben).at(-1) === "two");
      ben.kill();
      await append(ada, "three", "four", "five");
      await engine.trim(2);
      ben.connect();
      await ben.ready;
      expect([texts(ben), ben.resyncs]).toEqual([["four", "five"], 1]);
      // The last entry is still there: nothing is missing.
      ben.kill();
      await append(ada, "six");
      await engine.trim(2);
      ben.connect();
      await ben.ready;
      expect([texts(ben), ben.resyncs]).toEqual([["four", "five", "six"], 1]);
    });

    test('clients are told "resync" when the engine has lost its data, also those that stay connected', async () => {
      const [ada, ben] = [await visit(), await visit()];
      await append(ada, "old");
      // The second time, the last entry is the first one of the stream, and so is what is appended afterwards.
      for (const [times, text] of [
        [1, "new"],
        [2, "newer"],
      ] as const) {
        const { id } = ada.received.at(-1)!;
        await ben.until(() => ben.received.at(-1)?.id === id);
        ben.kill();
        await engine.lose();
        await ada.until(() => ada.resyncs === times);
        await ada.ready;
        await append(ada, text);
        ben.connect();
        await ben.until(() => texts(ben).at(-1) === text);
        for (const client of [ada, ben]) expect([texts(client), client.resyncs]).toEqual([[text], times]);
      }
    });

    test("an entry of a node that has ended before its signal is sent together with the next entry", async () => {
      const [ada, ben] = [await visit(), await visit()];
      await engine.append(JSON.stringify({ from: crypto.randomUUID(), n: 1, text: "no signal" }));
      ada.send({ from: crypto.randomUUID(), n: 1, text: "next" });
      for (const client of [ada, ben]) await client.until(() => texts(client).at(-1) === "next");
      for (const client of [ada, ben]) expect(texts(client).slice(-2)).toEqual(["no signal", "next"]);
    });

    test("an invalid message ends the connection, and an invalid id is refused", async () => {
      const ada = await visit();
      // It may have connected more than once, if the engine was slow to answer.
      const before = ada.connections;
      ada.send({ from: "ada" });
      await ada.until(() => ada.connections > before);
      const response = await fetch(`${nodes[0].url}/room?last=$`);
      expect(response.status).toBe(400);
    });
  });

const [redis] = ENGINES;

describe.skipIf(!hasBrowser || !redis.have())("in the browser", () => {
  let browser: Browser;
  let engine: Engine;
  let nodes: readonly [Node, Node];
  beforeAll(async () => {
    browser = await launchChromium();
    engine = await redis.start();
    nodes = await startNodes(engine);
  });
  afterAll(async () => {
    await browser?.close();
    await stop(engine, nodes);
  });

  const open = async ({ url }: Node): Promise<Page> => {
    const page = await browser.newPage();
    await page.goto(url);
    await page.getByText("ready").waitFor();
    return page;
  };
  const say = async (page: Page, ...messages: string[]): Promise<void> => {
    for (const message of messages) {
      await page.getByLabel("Message").fill(message);
      await page.getByRole("button", { name: "Send" }).click();
    }
  };
  const shown = (page: Page): Promise<string[]> => page.getByRole("listitem").allTextContents();

  test("the page shows everything once when its connection was cut, and starts again on resync", async () => {
    const [ada, ben] = await Promise.all(nodes.map(open) as [Promise<Page>, Promise<Page>]);
    await say(ada, "1", "2");
    await ben.getByText("2", { exact: true }).last().waitFor();
    await ben.getByRole("button", { name: "Cut" }).click();
    // While Ben is away, both write.
    await say(ada, "3", "4");
    await say(ben, "a", "b");
    await ada.getByText("b", { exact: true }).waitFor();
    await ben.getByText("b", { exact: true }).waitFor();
    const everything = await shown(ada);
    expect(everything.toSorted()).toEqual(["1", "2", "3", "4", "a", "b"]);
    expect(await shown(ben)).toEqual(everything);
    for (const page of [ada, ben])
      expect(await page.locator("p").last().textContent()).toMatch(/Messages: 6, holes: 0, repeats: 0,/);
    await engine.lose();
    for (const page of [ada, ben]) await page.getByText("Messages: 0").waitFor();
    expect(await shown(ada)).toEqual([]);
  });
});
