/** Targets: objects that open WebSocket connections to the server under test, each as a stream of bytes. */
import type { Duplex } from "node:stream";

/** The client's offers in its opening handshake. */
export interface Offer {
  /** `Sec-WebSocket-Extensions`. A list is sent as several header fields. */
  readonly extensions?: string | readonly string[];
  readonly protocols?: readonly string[];
}

/** A connection after its opening handshake. */
export interface Opened {
  /** Starts with the first byte of the server's first frame. */
  readonly stream: Duplex;
  /** Aborts the connection. Default: destroys the stream. */
  readonly reset?: () => void;
  /** After `end` of the stream: how the server aborted the connection; `undefined` if it closed it normally. */
  readonly whyReset?: () => string | undefined;
  /** `Sec-WebSocket-Extensions` of the response. */
  readonly extensions: string | undefined;
  /** `Sec-WebSocket-Protocol` of the response. */
  readonly protocol: string | undefined;
}

/** Options of `http1Target` and `http2Target`. */
export interface TargetOptions {
  /** Accept any certificate. Default: `false`. */
  readonly insecure?: boolean;
  /** How many milliseconds a connection and its opening handshake may take. Default: 10 000. */
  readonly timeout?: number;
}

/**
 * Header fields of a request over HTTP/2, including pseudo-header fields. `undefined` omits a field, a list sends it
 * several times.
 */
export type Http2Fields = Readonly<Record<string, string | readonly string[] | undefined>>;

/** The status and headers of an HTTP response. Names are in lower case, several values are joined by commas. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** A server under test, which sends back every message. */
export interface WireTarget {
  /**
   * Opens a connection.
   *
   * @throws Refused if the server responds, but not with a WebSocket
   */
  open(offer: Offer): Promise<Opened>;
  /**
   * Sends chunks of bytes as an HTTP/1.1 request. Without this method, the cases about the handshake over HTTP/1.1 are
   * left out (class 8, sections 1 to 3).
   */
  request?(chunks: readonly string[]): Promise<HttpAnswer>;
  /** The path and query of such requests. */
  readonly path?: string;
  /** The Host header of such requests. */
  readonly host?: string;
  /**
   * Opens an HTTP/2 connection for several streams. Without this method, the cases about HTTP/2 are left out (class 8,
   * sections 5 to 8).
   */
  connect?(): Promise<Http2Connection>;
}

/** An HTTP/2 connection. It closes itself with the last of its streams. */
export interface Http2Connection extends Pick<WireTarget, "open"> {
  /**
   * Sends a valid CONNECT for a WebSocket (RFC 8441), with some of its fields replaced.
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
