/** The connections of HTTP/2 that carry WebSockets. Those are closed first, whichever side says that it goes away. */
import type { Http2Session, ServerHttp2Stream } from "node:http2";
import { CLOSE } from "../protocol/close.ts";
import type { SessionGroup } from "../session/group.ts";
import type { Session } from "../session/session.ts";

export class Http2Sessions {
  private readonly group: SessionGroup;
  private readonly webSockets = new WeakMap<Http2Session, Set<Session>>();

  constructor(group: SessionGroup) {
    this.group = group;
  }

  add(stream: ServerHttp2Stream, session: Session): void {
    const { session: carrier } = stream;
    if (carrier === undefined) return; // it has gone in the meantime
    const webSockets = this.webSockets.get(carrier) ?? this.watch(carrier);
    webSockets.add(session);
    stream.once("close", () => {
      webSockets.delete(session);
      // The server is closing: a connection that WebSockets were all of is done with. Others of its streams end first.
      if (webSockets.size === 0 && this.group.closing) carrier.close();
    });
  }

  private watch(carrier: Http2Session): Set<Session> {
    const webSockets = new Set<Session>();
    this.webSockets.set(carrier, webSockets);
    // RFC 9113 §6.8: the client opens no more streams. A WebSocket would keep the connection, and it, waiting.
    carrier.once("goaway", () => {
      for (const session of webSockets) session.shutdown(CLOSE.goingAway);
    });
    return webSockets;
  }
}
