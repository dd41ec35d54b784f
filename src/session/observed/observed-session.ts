/**
 * Creates sessions that are observed: their messages and callbacks are counted, and their events reported. A session
 * knows nothing of that. It is given a transport, callbacks and an environment that count and pass on what they are
 * called with, so that a session that is not observed has no cost.
 */

import type { ConnectionEvent } from "../../diagnostics.ts";
import type { Transport } from "../../transport.ts";
import type { AsyncContext } from "../async-context.ts";
import type { Callbacks } from "../handler.ts";
import type { ConnectionFacts } from "../self.ts";
import { Session, type SessionEnvironment } from "../session.ts";
import { ConnectionCounts } from "./counts.ts";
import { ObservedCallbacks } from "./observed-callbacks.ts";
import { ObservedEvents } from "./observed-events.ts";
import { ObservedTransport } from "./observed-transport.ts";
import type { SessionObserver } from "./observer.ts";

/** The arguments of {@link Session}. */
export interface SessionParts {
  readonly callbacks: Callbacks;
  readonly transport: Transport;
  readonly facts: ConnectionFacts;
  readonly environment: SessionEnvironment;
  readonly asyncContext: AsyncContext | undefined;
}

/** @param resumed the connection continues after hibernation: `resume` will be called, and not `start` */
export const observedSession = (observer: SessionObserver, parts: SessionParts, resumed = false): Session => {
  const { callbacks, transport, facts, environment, asyncContext } = parts;
  const { capabilities, byteOps } = environment;
  const framed = transport.sendShared !== undefined;
  const startedAt = observer.now();
  let closedAt: number | undefined;
  let known: ConnectionEvent | undefined;
  let events: ObservedEvents | undefined;

  const counts = new ConnectionCounts(capabilities.control, framed, observer.now, () => session.waiting);

  // The id of a resumed connection is restored after its session was created.
  const about = (): ConnectionEvent => {
    const { id, connection } = session.self;
    return (known ??= { id, connection, handler: callbacks.name, path: facts.path });
  };

  const observedTransport = new ObservedTransport(transport, counts, () => {
    if (resumed) session.runInContext(reportOpen, undefined, undefined);
    else session.runInContext(reportUpgrade, undefined);
    return (events = new ObservedEvents(
      session,
      counts,
      handled,
      framed ? undefined : (text) => byteOps.utf8Length(text),
      observedTransport,
      () => (closedAt ??= observer.now()),
    ));
  });

  const { text, binary } = counts.received;
  const handled = (): number =>
    text.messages + binary.messages - (session.waitingMessages - counts.callbacks.queuedControls);
  const reportUpgrade = (): void => observer.onUpgrade(about(), counts);
  const reportOpen = (duration: number | undefined): void => observer.onOpen(about(), counts, duration);

  const session: Session = new Session(
    new ObservedCallbacks(callbacks, { observer, callbackCounts: counts.callbacks, handled, about }, framed),
    observedTransport,
    facts,
    {
      ...environment,
      onError: (error, context) => {
        if (context?.callback !== undefined) counts.callbacks.errors++;
        environment.onError(error, context);
      },
      onDropped: (messages) => {
        counts.callbacks.dropped(messages);
        events?.endDecided();
      },
      onInitialized: () => reportOpen(observer.now() - startedAt),
      onQueued: (messages, bytes, infos, opcode) => {
        const { callbacks, most } = counts;
        if (opcode === "ping" || opcode === "pong") callbacks.queuedControls++;
        if (messages > most.messages) most.messages = messages;
        if (bytes > most.bytes) most.bytes = bytes;
        if (infos > most.infos) most.infos = infos;
      },
      onEnd: (ended) => {
        environment.onEnd?.(ended);
        const duration = (closedAt ?? observer.now()) - startedAt;
        const end = { reason: ended.endedBy!, codeSent: observedTransport.codeSent, duration };
        ended.runInContext(() => observer.onClose(about(), counts, end), undefined);
      },
    },
    asyncContext,
  );
  return session;
};
