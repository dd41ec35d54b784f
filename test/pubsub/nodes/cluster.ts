/** Nodes that are connected by an engine in memory, with a manual clock. */
import { PubSub, type PubSubEvent, type PubSubOptions } from "../../../src/pubsub/index.ts";
import { MemoryEngine } from "../../../src/testing/memory-engine.ts";
import { DeferringClock } from "../../support/deferring-clock.ts";

export interface TestNode {
  readonly pubsub: PubSub;
  readonly events: PubSubEvent[];
}

export class TestCluster {
  readonly clock: DeferringClock;
  readonly engine = new MemoryEngine({ defer: (run) => this.clock.defer(run) });

  constructor(clock = new DeferringClock()) {
    this.clock = clock;
  }

  /** Creates nodes, and waits until they can reach each other. */
  async nodes(count: number, options: PubSubOptions = {}): Promise<TestNode[]> {
    const nodes = Array.from({ length: count }, () => this.node(options));
    await this.settle();
    return nodes;
  }

  node(options: PubSubOptions = {}): TestNode {
    const events: PubSubEvent[] = [];
    const { clock } = this;
    const pubsub = new PubSub({
      backplane: this.engine.backplane(),
      clock,
      onEvent: (event) => events.push(event),
      ...options,
    });
    return { pubsub, events };
  }

  /** Runs everything that is deferred, and what that causes, until nothing is. The time does not change. */
  async settle(): Promise<void> {
    for (let idle = 0; idle < 3; idle++) {
      if (this.clock.turn()) idle = 0;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async advance(ms: number, step = 50): Promise<void> {
    for (let left = ms; left > 0; left -= step) {
      this.clock.advance(Math.min(step, left));
      await this.settle();
    }
  }
}
