/** Where the cases run: something that opens WebSocket connections, each as a stream of octets. */
import type { Duplex } from "node:stream";

/** What the client offers in its opening handshake. */
export interface Offer {
  /** `Sec-WebSocket-Extensions`; a list is sent as several header fields. */
  readonly extensions?: string | readonly string[];
  readonly protocols?: readonly string[];
}

/** A connection whose opening handshake is done. */
export interface Opened {
  /** From the first octet of the server's first frame on. */
  readonly stream: Duplex;
  /** Cuts it off. Default: the stream is destroyed. */
  readonly reset?: () => void;
  /** What the stream's `end` does not tell: that it was cut off by the other side, and how. */
  readonly whyReset?: () => string | undefined;
  /** `Sec-WebSocket-Extensions` of the answer. */
  readonly extensions: string | undefined;
  /** `Sec-WebSocket-Protocol` of the answer. */
  readonly protocol: string | undefined;
}

/** Of the targets that come with the suite. */
export interface TargetOptions {
  /** Believe any certificate. */
  readonly insecure?: boolean;
  /** How many ms a connection and the answer to its handshake may take. Default: 10 000. */
  readonly timeout?: number;
}

/** Header fields of a request over HTTP/2, pseudo-headers too: `undefined` leaves one out, a list sends it several times. */
export type Http2Fields = Readonly<Record<string, string | readonly string[] | undefined>>;

/** The head of an HTTP answer; names in lower case, several values joined by commas. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** A server under test. Everything that it does with a message is to send it back. */
export interface WireTarget {
  /**
   * Opens a connection, over whatever HTTP version.
   *
   * @throws Refused if the server answers, but with something else than a WebSocket
   */
  open(offer: Offer): Promise<Opened>;
  /** Sends chunks of octets as an HTTP/1.1 request. Without it there are no cases about that handshake (class 8, 1 to 3). */
  request?(chunks: readonly string[]): Promise<HttpAnswer>;
  /** Path and query, and the Host header's value, for such requests. */
  readonly path?: string;
  readonly host?: string;
  /** A connection of HTTP/2, for several streams. Without it there are no cases about that (class 8, 5 to 8). */
  connect?(): Promise<Http2Connection>;
}

/** It ends with the last of its streams. */
export interface Http2Connection extends Pick<WireTarget, "open"> {
  /**
   * Sends a sound CONNECT for a WebSocket (RFC 8441), with some of its fields replaced.
   *
   * @returns `undefined` if the stream was reset
   */
  request(changes: Http2Fields, endStream?: boolean): Promise<HttpAnswer | undefined>;
}

/** The server did not open a WebSocket. */
export class Refused extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`the server refused the connection with status ${status}`);
    this.status = status;
  }
}
