/** The counts of all connections, by handler: of those that are open, and the sums of those that have closed. */
import type { CloseEvent, OpenEvent, UpgradeEvent } from "../diagnostics.ts";
import type { ConnectionCounts } from "../session/observed/counts.ts";
import { Totals } from "./totals.ts";

/** What is open now. */
export interface Open {
  connections: number;
  messages: number;
  bytes: number;
  infos: number;
  buffered: number;
}

/** The connections of one handler. */
class HandlerConnections {
  readonly open = new Map<string, ConnectionCounts>();
  readonly closed = new Totals();
}

export class LiveConnections {
  private readonly handlers = new Map<string | undefined, HandlerConnections>();

  add({ id, handler, counts }: UpgradeEvent | OpenEvent): void {
    this.of(handler).open.set(id, counts);
  }

  delete({ id, handler, counts }: CloseEvent): void {
    const { open, closed } = this.of(handler);
    // One that was upgraded before this object listened has not been added.
    if (open.delete(id)) closed.add(counts);
  }

  private of(handler: string | undefined): HandlerConnections {
    let connections = this.handlers.get(handler);
    if (connections === undefined) this.handlers.set(handler, (connections = new HandlerConnections()));
    return connections;
  }

  /** For each handler: what is open now, and the sums of everything until now. */
  *read(): Generator<readonly [handler: string | undefined, now: Open, totals: Totals]> {
    for (const [handler, { open, closed }] of this.handlers) {
      const now: Open = { connections: open.size, messages: 0, bytes: 0, infos: 0, buffered: 0 };
      const totals = new Totals();
      totals.add(closed);
      for (const counts of open.values()) {
        totals.add(counts);
        const { messages, bytes, infos, buffered } = counts.waiting;
        now.messages += messages;
        now.bytes += bytes;
        now.infos += infos;
        now.buffered += buffered;
      }
      yield [handler, now, totals];
    }
  }
}
