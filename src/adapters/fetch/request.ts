/** Conversions of the `Request` and `Response` of the Fetch standard, for all hosts that use them. */
import type { AnswerHeaders, UpgradeRequest } from "../../options.ts";
import { isForAnswer } from "../shared/answer-headers.ts";

/** Not a whole `Request`: some runtimes hide the handshake's headers in a `Request` that an app creates. */
type FetchRequest = Pick<Request, "method" | "url" | "headers">;

/** The upgrade request as `upgrade` and the application's functions get it. */
export const upgradeRequestOf = ({ method, url, headers }: FetchRequest): UpgradeRequest => {
  // `URL` is not used: it would throw on an invalid host, which the client controls.
  const [, target = ""] = /^(?:[a-z][a-z\d+.-]*:\/\/[^/?#]*)?([^#]*)/i.exec(url)!;
  return {
    method,
    // These hosts accept WebSockets only over HTTP/1.1, and don't expose the version.
    httpVersion: "1.1",
    url: target.startsWith("/") ? target : `/${target}`,
    authority: headers.get("host") ?? undefined,
    header: (name) => headers.get(name) ?? undefined,
  };
};

/** The headers of the answer: those of the app's response, except for content headers, and those of `upgrade`. */
export const answerHeaders = (response: Response, extra: AnswerHeaders): Headers => {
  const headers = new Headers();
  for (const [name, value] of response.headers) if (isForAnswer(name)) headers.append(name, value);
  for (const [name, value] of Object.entries(extra)) {
    // Cookies are added to existing ones; any other header replaces an existing one.
    if (name.toLowerCase() !== "set-cookie") headers.delete(name);
    for (const one of [value].flat()) headers.append(name, one);
  }
  return headers;
};
