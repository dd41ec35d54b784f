/** Which headers of a framework's response have a place in the answer to an upgrade. */

/**
 * The answer has no content (RFC 9110 §15.2), its connection headers are ours, and those of the framework's own response
 * are about another one.
 */
const NOT_FOR_ANSWER =
  /^(?:content-.*|sec-websocket-.*|transfer-encoding|etag|connection|upgrade|keep-alive|trailer)$/i;

export const isForAnswer = (name: string): boolean => !NOT_FOR_ANSWER.test(name);
