/** Selects the headers of a framework's response that are kept in the answer to an upgrade. */

/**
 * The answer has no content (RFC 9110 §15.2), the adapter sets its handshake and connection headers, and content
 * headers describe the framework's own response.
 */
const NOT_FOR_ANSWER =
  /^(?:content-.*|sec-websocket-.*|transfer-encoding|etag|connection|upgrade|keep-alive|trailer)$/i;

export const isForAnswer = (name: string): boolean => !NOT_FOR_ANSWER.test(name);
