/** The example `resume` at length: clients are killed 200 times during 10 000 messages, on each engine. */
import { beforeAll, describe, onTestFinished, test } from "vitest";
import { compileExample, ENGINES, killAtRandom, startNodes } from "./resume-nodes.ts";

beforeAll(compileExample);

for (const { engine: name, have, start } of ENGINES)
  describe.skipIf(!have())(name, () => {
    test("every client receives every message once, in the order of the store", { timeout: 300_000 }, async () => {
      const engine = await start();
      onTestFinished(() => engine.stop());
      const nodes = await startNodes(engine);
      onTestFinished(async () => void (await Promise.all(nodes.map((node) => node.stop()))));
      await killAtRandom(engine, nodes, { messages: 10_000, kills: 200 });
    });
  });
