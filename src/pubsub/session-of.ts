/** From a `self` to its session. */
import { codedError, codedTypeError } from "../error-codes.ts";
import { show } from "../known-keys.ts";
import { SessionSelf, type TopicSession } from "../session/self.ts";

/** @throws TypeError for a value that is not a `self` */
export const sessionOf = (self: unknown): TopicSession => {
  const session = SessionSelf.sessionOf(self);
  if (session !== undefined) return session;
  throw codedTypeError(
    "WEBSOCK_INVALID_SELF",
    `not a connection: ${show(self)}; pass the "self" that a callback received from this package`,
  );
};

/** @throws Error on a host where code of one connection cannot send to another */
export const reachableSessionOf = (self: unknown): TopicSession => {
  const session = sessionOf(self);
  if (session.isolatedBy === undefined) return session;
  throw codedError(
    "WEBSOCK_NOT_SUPPORTED",
    `topics and addresses do not work on this host (${session.isolatedBy}): its connections cannot send to each other. ` +
      "On Cloudflare, accept the connections in a Durable Object",
  );
};
