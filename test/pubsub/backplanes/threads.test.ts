/** The backplane between threads. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { backplaneCases } from "websock-js/testing";
import { type BackplaneNodes, startBackplaneNodes } from "../../support/backplane-nodes.ts";

describe("the contract, between three threads", () => {
  let nodes: BackplaneNodes;
  beforeAll(async () => {
    nodes = await startBackplaneNodes("threads");
  });
  afterAll(async () => {
    await nodes.stop();
    expect(nodes.stderr()).toBe("");
  });
  let next = 0;
  for (const { name, run } of backplaneCases({ backplane: () => nodes.in(next++ % 3) })) test(name, run);
});
