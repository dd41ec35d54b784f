/** Responses of Node's, where what a framework writes becomes the answer to an upgrade. */
import type { OutgoingHttpHeaders } from "node:http";
import type { UpgradeError } from "../../errors.ts";
import { isForAnswer } from "../shared/answer-headers.ts";
import { nextTick } from "./timers.ts";
import type { NodeResponse } from "./types.ts";

type Args = readonly unknown[];
type Method = (...args: Args) => unknown;
type Methods = Record<string, Method>;

/** Headers by name; of those that came several times, all values. */
export type HeaderValues = ReadonlyMap<string, string | string[]>;

/** Who is asked what becomes of the response. */
export interface Replacement {
  /** The framework writes its head. `true`: it was replaced; what follows is dropped, and `onEnd` ends the response. */
  onHead(status: number, headers: HeaderValues): boolean;
  onEnd?(callback: (() => void) | undefined): void;
}

/**
 * Stands between a response and everybody who writes it. It is put there before the app sees the response, so that hooks
 * of middleware (on headers, on the end) run before it, and what they add is in the answer.
 */
export class ResponseGate {
  /** The response as it would be without us. */
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

  /** From now on, what is written becomes what `replacement` makes of it. */
  replace(replacement: Replacement): void {
    this.replacement = replacement;
  }

  /** Writes the head of a refusal, past the gate. Its body follows when the framework ends its response. */
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

  /** Has the head written, if it was not, by way of the hooks on it. */
  private isReplaced(): boolean {
    if (this.replacement === undefined) return false;
    const { response } = this;
    if (!response.headersSent) response.writeHead(response.statusCode);
    return this.replaced;
  }
}

/** What `writeHead` takes: an object, a flat list, or a list of pairs. */
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

/** Lays the headers that are given to `writeHead` over those of the response, and leaves out what is not for an answer. */
export const mergeHeaders = (response: NodeResponse, headers: HeaderValues): void => {
  for (const [name, value] of headers) if (isForAnswer(name)) response.setHeader(name, value);
  for (const name of response.getHeaderNames()) if (!isForAnswer(name)) response.removeHeader(name);
};

/** Adds to the cookies that are there; any other header replaces what was there. */
export const addHeader = (response: NodeResponse, name: string, value: string | readonly string[]): void => {
  const before = name.toLowerCase() === "set-cookie" ? [response.getHeader(name) ?? []].flat() : [];
  const values = [...before.map(String), ...[value].flat()] as string[];
  response.setHeader(name, values.length === 1 && typeof value === "string" ? value : values);
};

/** Answers with what the error says, on top of the headers that middleware has set. */
export const respondWithError = (error: UpgradeError, response: NodeResponse): void => {
  const { headers, body } = refusalOf(error, response);
  response.statusCode = error.status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value!);
  response.end(body);
};

/** The headers and the body of the answer to an upgrade that is refused. */
const refusalOf = (
  error: UpgradeError,
  response: NodeResponse,
): { readonly headers: OutgoingHttpHeaders; readonly body: string } => {
  const body = `${error.message}\n`;
  const headers: OutgoingHttpHeaders = { ...error.headers };
  // The error's own `Connection` must not hide that we close.
  if ("shouldKeepAlive" in response && !response.shouldKeepAlive) {
    headers.connection = [headers.connection ?? [], "close"].flat() as string[];
  }
  headers["content-type"] = "text/plain; charset=utf-8";
  headers["content-length"] = Buffer.byteLength(body);
  return { headers, body };
};

/** Whoever waits for a response to be done with is told so. */
const drop = (args: Args): boolean => {
  const callback = args.at(-1);
  if (typeof callback === "function") nextTick(callback as () => void);
  return true;
};

const ignoreCall = function (this: NodeResponse, ...args: Args): NodeResponse {
  drop(args);
  return this;
};

/** What is done to a response after the upgrade has no effect, and no error. */
export const INERT_METHODS: Readonly<Methods> = {
  ...Object.fromEntries(
    [
      ...["setHeader", "setHeaders", "appendHeader", "removeHeader", "writeHead", "flushHeaders", "addTrailers", "end"],
      ...["writeContinue", "writeProcessing", "writeEarlyHints", "writeInformation"],
    ].map((name) => [name, ignoreCall]),
  ),
  write: (...args) => drop(args),
};
