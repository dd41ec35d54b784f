/** The backplane between the workers of node:cluster. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { backplaneCases } from "websock-js/testing";
import { type BackplaneNodes, startBackplaneNodes } from "../../support/backplane-nodes.ts";

describe.each(["json", "advanced"] as const)(
  "the contract, between a primary process and two workers, %s",
  (serialization) => {
    let nodes: BackplaneNodes;
    beforeAll(async () => {
      nodes = await startBackplaneNodes("cluster", { serialization });
    });
    afterAll(async () => {
      await nodes.stop();
      expect(nodes.stderr()).toBe("");
    });
    let next = 0;
    for (const { name, run } of backplaneCases({ backplane: () => nodes.in(next++ % 3) })) test(name, run);
  },
);
