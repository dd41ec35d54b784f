/** Which members a message is not for. */
import type { TopicSession } from "../session/self.ts";

/** One session, several, or none. */
export type Except = TopicSession | ReadonlySet<TopicSession> | undefined;

export const isExcepted = (except: Except, session: TopicSession): boolean =>
  except !== undefined && (except === session || (except instanceof Set && except.has(session)));
