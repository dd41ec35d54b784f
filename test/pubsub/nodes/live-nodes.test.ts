/** Which nodes are alive. */
import { beforeEach, describe, expect, test } from "vitest";
import { ManualClock } from "websock-js/testing";
import { LiveNodes } from "../../../src/pubsub/nodes/live-nodes.ts";

/** Its active time stands still while the event loop is blocked. */
class BlockingClock extends ManualClock {
  private blocked = 0;

  override activeNow(): number {
    return this.now() - this.blocked;
  }

  block(ms: number): void {
    this.blocked += ms;
    this.advance(ms);
  }
}

const BEAT = 5_000;
const DOWN = 30_000;

describe("live nodes", () => {
  let clock: BlockingClock;
  let log: string[];
  let owner: { isUp: boolean; sendBeat(): void; onNodeGone(node: string): void; onNodeForgotten(node: string): void };
  let liveNodes: LiveNodes;

  beforeEach(() => {
    clock = new BlockingClock();
    log = [];
    const add = (what: string): void => void log.push(`${clock.now()} ${what}`);
    owner = {
      isUp: true,
      sendBeat: () => add("beat"),
      onNodeGone: (node) => add(`gone ${node}`),
      onNodeForgotten: (node) => add(`forgotten ${node}`),
    };
    liveNodes = new LiveNodes(owner, { clock, beat: BEAT, down: DOWN });
    liveNodes.start();
  });

  const gone = (): string[] => log.filter((line) => !line.endsWith("beat"));

  test("a beat at each interval, and none while the engine is away, or after close", () => {
    clock.advance(12_000);
    owner.isUp = false;
    clock.advance(10_000);
    owner.isUp = true;
    liveNodes.start();
    clock.advance(5_000);
    liveNodes.close();
    clock.advance(60_000);
    expect(log).toEqual(["5000 beat", "10000 beat", "27000 beat"]);
  });

  test("a node is gone when it was silent for `down`, to the millisecond, and is forgotten ten minutes later", () => {
    clock.advance(1_234);
    liveNodes.heard("a");
    clock.advance(3_000);
    liveNodes.heard("a");
    liveNodes.heard("b");
    clock.advance(20_000);
    liveNodes.heard("b");
    clock.advance(20_000);
    expect(gone()).toEqual(["34234 gone a"]);
    expect([...liveNodes.nodes]).toEqual(["b"]);
    clock.advance(620_000);
    expect(gone()).toEqual(["34234 gone a", "54234 gone b", "635000 forgotten a", "655000 forgotten b"]);
  });

  test("whoever is gone comes back with a beat, not with a message that was late", () => {
    liveNodes.heard("a");
    liveNodes.markGone("a");
    liveNodes.markGone("a");
    liveNodes.markGone("unknown");
    liveNodes.heard("a");
    expect(liveNodes.has("a")).toBe(false);
    liveNodes.alive("a");
    expect(liveNodes.has("a")).toBe(true);
    clock.advance(29_999);
    expect(gone()).toEqual(["0 gone a"]);
    clock.advance(1);
    expect(gone()).toEqual(["0 gone a", "30000 gone a"]);
  });

  const interrupt = (ms: number): void => {
    owner.isUp = false;
    liveNodes.pause();
    clock.advance(ms);
    owner.isUp = true;
    liveNodes.start();
  };

  test("while the engine is away nobody is gone, and that time does not count", () => {
    liveNodes.heard("a");
    clock.advance(15_000);
    interrupt(100_000);
    expect(liveNodes.has("a")).toBe(true);
    clock.advance(14_999);
    expect(liveNodes.has("a")).toBe(true);
    clock.advance(1);
    expect(gone()).toEqual(["130000 gone a"]);
  });

  test("when the engine is up again, each node has two beats to be heard; but only once", () => {
    liveNodes.heard("a");
    clock.advance(29_000);
    interrupt(1_000);
    clock.advance(9_000);
    expect(liveNodes.has("a")).toBe(true);
    interrupt(1_000);
    clock.advance(1_000);
    expect(gone()).toEqual(["41000 gone a"]);
  });

  test("while this process was blocked, the others were not silent", () => {
    liveNodes.heard("a");
    clock.advance(10_000);
    clock.block(60_000);
    clock.advance(19_999);
    expect(gone()).toEqual([]);
    clock.advance(1);
    expect(gone()).toEqual(["90000 gone a"]);
  });
});
