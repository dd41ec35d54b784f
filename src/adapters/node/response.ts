/** Responses of Node in which the framework's response is replaced by the answer to an upgrade. */
import type { OutgoingHttpHeaders } from "node:http";
import type { UpgradeError } from "../../errors.ts";
import { isForAnswer } from "../shared/answer-headers.ts";
import { nextTick } from "./timers.ts";
import type { NodeResponse } from "./types.ts";

type Args = readonly unknown[];
type Method = (...args: Args) => unknown;

/** Header values by lower-case name. */
export type HeaderValues = ReadonlyMap<string, string | string[]>;

/** Replaces the response that a framework writes. */
export interface Replacement {
  /** Called for the head. `true`: it was replaced, the body is dropped, and `onEnd` or the gate ends the response. */
  onHead(status: number, headers: HeaderValues): boolean;
  onEnd?(callback: (() => void) | undefined): void;
}

/**
 * Intercepts all writes to a response. It is installed before the app gets the response, so that middleware's own
 * wrappers (of `writeHead` and `end`) run first, and the headers that they add are sent with the answer.
 */
export class ResponseGate {
  private readonly response: NodeResponse;
  /** The original methods. */
  private readonly original: GatedMethods;
  private replacement: Replacement | undefined = undefined;
  private replaced = false;
  /** The body of the refusal that was written instead of the framework's response. */
  private refusal: string | undefined = undefined;

  /** Returns the gate of a response, which is created by the first call. */
  static of(response: NodeResponse): ResponseGate {
    return (response as Partial<Gated>)[GATE] ?? new ResponseGate(response);
  }

  private constructor(response: NodeResponse) {
    const gated = response as unknown as GatedMethods & Gated;
    const { writeHead, write, end, flushHeaders } = gated;
    this.response = response;
    this.original = { writeHead, write, end, flushHeaders };
    gated[GATE] = this;
    // Functions that all responses share, assigned one by one: closures and `Object.assign` take several times as long.
    gated.writeHead = gatedWriteHead;
    gated.write = gatedWrite;
    gated.end = gatedEnd;
    gated.flushHeaders = gatedFlushHeaders;
  }

  /** Replaces what is written from now on. */
  replace(replacement: Replacement): void {
    this.replacement = replacement;
  }

  /** Writes the head of a refusal. Its body follows when the framework ends the response. */
  refuse(error: UpgradeError): void {
    const { headers, body } = refusalOf(error, this.response);
    this.writeOriginalHead(error.status, headers);
    this.refusal = body;
  }

  /** Calls the original `writeHead`. */
  writeOriginalHead(...args: Args): unknown {
    return this.original.writeHead.apply(this.response, args as unknown[]);
  }

  /** Calls the original `end`. */
  endOriginal(...args: Args): unknown {
    return this.original.end.apply(this.response, args as unknown[]);
  }

  writeHead(args: Args): unknown {
    if (this.replacement === undefined || this.replaced) return this.writeOriginalHead(...args);
    this.replaced = this.replacement.onHead(Number(args[0]), headersOf(args.find((arg) => typeof arg === "object")));
    if (this.replaced) return this.response;
    this.replacement = undefined;
    return this.writeOriginalHead(...args);
  }

  write(args: Args): unknown {
    return this.isReplaced() ? drop(args) : this.original.write.apply(this.response, args as unknown[]);
  }

  end(args: Args): unknown {
    if (!this.isReplaced()) return this.endOriginal(...args);
    const callback = args.find((arg) => typeof arg === "function") as (() => void) | undefined;
    if (this.refusal === undefined) this.replacement!.onEnd?.(callback);
    else this.endOriginal(this.refusal, callback);
    return this.response;
  }

  flushHeaders(): void {
    if (!this.isReplaced()) this.original.flushHeaders.call(this.response);
  }

  /** Writes the head first, if necessary, through `writeHead` as middleware has wrapped it. */
  private isReplaced(): boolean {
    if (this.replacement === undefined) return false;
    const { response } = this;
    if (!response.headersSent) response.writeHead(response.statusCode);
    return this.replaced;
  }
}

const GATE = Symbol("websock-js.gate");

interface Gated {
  [GATE]: ResponseGate;
}

interface GatedMethods {
  writeHead: Method;
  write: Method;
  end: Method;
  flushHeaders: Method;
}

function gatedWriteHead(this: Gated, ...args: Args): unknown {
  return this[GATE].writeHead(args);
}

function gatedWrite(this: Gated, ...args: Args): unknown {
  return this[GATE].write(args);
}

function gatedEnd(this: Gated, ...args: Args): unknown {
  return this[GATE].end(args);
}

function gatedFlushHeaders(this: Gated): void {
  this[GATE].flushHeaders();
}

const NO_HEADERS: HeaderValues = new Map();

/** The headers passed to `writeHead`: an object, a flat list, or a list of pairs. */
const headersOf = (given: unknown): HeaderValues => {
  if (given === undefined) return NO_HEADERS;
  const headers = new Map<string, string | string[]>();
  const add = (name: unknown, value: unknown): void => {
    if (value === undefined) return;
    const key = String(name).toLowerCase();
    const values = [headers.get(key) ?? [], value].flat().map(String);
    headers.set(key, values.length === 1 ? values[0]! : values);
  };
  if (!Array.isArray(given)) for (const [name, value] of Object.entries(given ?? {})) add(name, value);
  else if (Array.isArray(given[0])) for (const [name, value] of given) add(name, value);
  else for (let i = 0; i < given.length; i += 2) add(given[i], given[i + 1]);
  return headers;
};

/**
 * Adds the headers passed to `writeHead` to those of the response, and removes those that don't belong in an answer.
 */
export const mergeHeaders = (response: NodeResponse, headers: HeaderValues): void => {
  for (const [name, value] of headers) if (isForAnswer(name)) response.setHeader(name, value);
  for (const name of response.getHeaderNames()) if (!isForAnswer(name)) response.removeHeader(name);
};

/** Cookies are added to existing ones; any other header replaces an existing one. */
export const addHeader = (response: NodeResponse, name: string, value: string | readonly string[]): void => {
  const before = name.toLowerCase() === "set-cookie" ? [response.getHeader(name) ?? []].flat() : [];
  const values = [...before.map(String), ...[value].flat()] as string[];
  response.setHeader(name, values.length === 1 && typeof value === "string" ? value : values);
};

/** Responds with the error, keeping the headers that middleware has set. */
export const respondWithError = (error: UpgradeError, response: NodeResponse): void => {
  const { headers, body } = refusalOf(error, response);
  response.statusCode = error.status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value!);
  response.end(body);
};

/** The headers and the body of a refusal. */
const refusalOf = (
  error: UpgradeError,
  response: NodeResponse,
): { readonly headers: OutgoingHttpHeaders; readonly body: string } => {
  const body = `${error.message}\n`;
  const headers: OutgoingHttpHeaders = { ...error.headers };
  // The error's `Connection: Upgrade` must not hide that the connection will be closed.
  if ("shouldKeepAlive" in response && !response.shouldKeepAlive) {
    headers.connection = [headers.connection ?? [], "close"].flat() as string[];
  }
  headers["content-type"] = "text/plain; charset=utf-8";
  headers["content-length"] = Buffer.byteLength(body);
  return { headers, body };
};

/** Drops written data. A callback passed with it is called. */
const drop = (args: Args): boolean => {
  const callback = args.at(-1);
  if (typeof callback === "function") nextTick(callback as () => void);
  return true;
};

function ignoreCall(this: NodeResponse, ...args: Args): NodeResponse {
  drop(args);
  return this;
}

function ignoreWrite(...args: Args): boolean {
  return drop(args);
}

type InertMethods = Record<
  | ("setHeader" | "setHeaders" | "appendHeader" | "removeHeader" | "writeHead" | "flushHeaders" | "addTrailers")
  | ("end" | "writeContinue" | "writeProcessing" | "writeEarlyHints" | "writeInformation" | "write"),
  Method
>;

/** Replaces the methods of a response after the upgrade by methods without effect and without errors. */
export const makeInert = (response: NodeResponse): void => {
  const inert = response as unknown as InertMethods;
  // One by one, which is faster than `Object.assign`.
  inert.setHeader = ignoreCall;
  inert.setHeaders = ignoreCall;
  inert.appendHeader = ignoreCall;
  inert.removeHeader = ignoreCall;
  inert.writeHead = ignoreCall;
  inert.flushHeaders = ignoreCall;
  inert.addTrailers = ignoreCall;
  inert.end = ignoreCall;
  inert.writeContinue = ignoreCall;
  inert.writeProcessing = ignoreCall;
  inert.writeEarlyHints = ignoreCall;
  inert.writeInformation = ignoreCall;
  inert.write = ignoreWrite;
};
