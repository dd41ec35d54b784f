/** Fetch-style requests and responses, as an upgrade sees them: the same on every host that has those. */
import type { AnswerHeaders, UpgradeRequest } from "../../options.ts";
import { isForAnswer } from "../shared/answer-headers.ts";

/** What of a `Request` the facts are taken from; some runtimes hide the handshake's headers in one that an app makes. */
type FetchRequest = Pick<Request, "method" | "url" | "headers">;

/** What `upgrade` and the application's functions are told of a request. */
export const upgradeRequestOf = ({ method, url, headers }: FetchRequest): UpgradeRequest => {
  // Not by URL: what comes before the path is what the client says of its host, and may be anything.
  const [, target = ""] = /^(?:[a-z][a-z\d+.-]*:\/\/[^/?#]*)?([^#]*)/i.exec(url)!;
  return {
    method,
    // None of these hosts takes WebSockets over another version, and none tells which it is.
    httpVersion: "1.1",
    url: target.startsWith("/") ? target : `/${target}`,
    authority: headers.get("host") ?? undefined,
    header: (name) => headers.get(name) ?? undefined,
  };
};

/** The headers of the answer: what the app's response has, apart from what is about its content, and those of `upgrade`. */
export const answerHeaders = (response: Response, extra: AnswerHeaders): Headers => {
  const headers = new Headers();
  for (const [name, value] of response.headers) if (isForAnswer(name)) headers.append(name, value);
  for (const [name, value] of Object.entries(extra)) {
    // Adds to the cookies that are there; any other header replaces what was there.
    if (name.toLowerCase() !== "set-cookie") headers.delete(name);
    for (const one of [value].flat()) headers.append(name, one);
  }
  return headers;
};
