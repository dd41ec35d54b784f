/** Responses of Node in which the framework's response is replaced by the answer to an upgrade. */
import type { OutgoingHttpHeaders } from "node:http";
import type { UpgradeError } from "../../errors.ts";
import { isForAnswer } from "../shared/answer-headers.ts";
import { nextTick } from "./timers.ts";
import type { NodeResponse } from "./types.ts";

type Args = readonly unknown[];
type Method = (...args: Args) => unknown;
type Methods = Record<string, Method>;

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
  /** The original methods. */
  readonly base: { readonly writeHead: Method; readonly write: Method; readonly end: Method };
  private readonly response: NodeResponse;
  private replacement: Replacement | undefined = undefined;
  private replaced = false;
  /** The body of the refusal that was written instead of the framework's response. */
  private refusal: string | undefined = undefined;

  constructor(response: NodeResponse) {
    const { writeHead, write, end, flushHeaders } = response as unknown as Methods;
    const bind = (method: Method | undefined): Method => method!.bind(response);
    this.response = response;
    this.base = { writeHead: bind(writeHead), write: bind(write), end: bind(end) };
    const flush = bind(flushHeaders);
    Object.assign(response, {
      writeHead: (...args: Args) => this.writeHead(args),
      write: (...args: Args) => (this.isReplaced() ? drop(args) : this.base.write(...args)),
      end: (...args: Args) => this.end(args),
      flushHeaders: () => (this.isReplaced() ? undefined : flush()),
    });
  }

  /** Replaces what is written from now on. */
  replace(replacement: Replacement): void {
    this.replacement = replacement;
  }

  /** Writes the head of a refusal. Its body follows when the framework ends the response. */
  refuse(error: UpgradeError): void {
    const { headers, body } = refusalOf(error, this.response);
    this.base.writeHead(error.status, headers);
    this.refusal = body;
  }

  private writeHead(args: Args): unknown {
    if (this.replacement === undefined || this.replaced) return this.base.writeHead(...args);
    const [status, ...rest] = args;
    this.replaced = this.replacement.onHead(Number(status), headersOf(rest.find((arg) => typeof arg === "object")));
    if (this.replaced) return this.response;
    this.replacement = undefined;
    return this.base.writeHead(...args);
  }

  private end(args: Args): unknown {
    if (!this.isReplaced()) return this.base.end(...args);
    const callback = args.find((arg) => typeof arg === "function") as (() => void) | undefined;
    if (this.refusal === undefined) this.replacement!.onEnd?.(callback);
    else this.base.end(this.refusal, callback);
    return this.response;
  }

  /** Writes the head first, if necessary, through `writeHead` as middleware has wrapped it. */
  private isReplaced(): boolean {
    if (this.replacement === undefined) return false;
    const { response } = this;
    if (!response.headersSent) response.writeHead(response.statusCode);
    return this.replaced;
  }
}

/** The headers passed to `writeHead`: an object, a flat list, or a list of pairs. */
const headersOf = (given: unknown): HeaderValues => {
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

const ignoreCall = function (this: NodeResponse, ...args: Args): NodeResponse {
  drop(args);
  return this;
};

/** Methods of a response after the upgrade, without effect and without errors. */
export const INERT_METHODS: Readonly<Methods> = {
  ...Object.fromEntries(
    [
      ...["setHeader", "setHeaders", "appendHeader", "removeHeader", "writeHead", "flushHeaders", "addTrailers", "end"],
      ...["writeContinue", "writeProcessing", "writeEarlyHints", "writeInformation"],
    ].map((name) => [name, ignoreCall]),
  ),
  write: (...args) => drop(args),
};
