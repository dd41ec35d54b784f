/** A backplane that does nothing by itself: a test plays the engine. */
import type { Backplane, BackplaneConnection, BackplaneLink } from "../../../src/pubsub/index.ts";
import { type EnvelopeEntry, readEnvelope } from "../../../src/pubsub/nodes/envelope.ts";

export interface Published {
  readonly channel: string;
  readonly bytes: Uint8Array;
  readonly settled: (ok: boolean) => void;
}

export class RawBackplane implements Backplane, BackplaneConnection {
  link!: BackplaneLink;
  maxBytes = 1024 * 1024;
  published: Published[] = [];
  readonly subscribed: string[] = [];
  readonly unsubscribed: string[] = [];
  reconnects = 0;
  isClosed = false;
  /** Is called for everything that is published. */
  onPublish: ((published: Published) => void) | undefined = undefined;

  connect(link: BackplaneLink): BackplaneConnection {
    this.link = link;
    return this;
  }

  /** Is up, and acknowledges and returns the probe. */
  comeUp(): void {
    this.link.up();
    this.returnAll();
  }

  /** Acknowledges everything, and returns what the node has sent to itself. */
  returnAll(): void {
    const { published } = this;
    this.published = [];
    for (const { channel, bytes, settled } of published) {
      settled(true);
      if (channel === `n:${this.link.node}`) this.link.receive(channel, bytes);
    }
  }

  publish(channel: string, bytes: Uint8Array, settled: (ok: boolean) => void): void {
    const published = { channel, bytes, settled };
    this.published.push(published);
    this.onPublish?.(published);
  }

  subscribe(channels: readonly string[]): Promise<void> {
    this.subscribed.push(...channels);
    return Promise.resolve();
  }

  unsubscribe(channels: readonly string[]): void {
    this.unsubscribed.push(...channels);
  }

  reconnect(): void {
    this.reconnects++;
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}

export const entriesOf = ({ bytes }: Published): readonly EnvelopeEntry[] => readEnvelope(bytes)!.entries;
