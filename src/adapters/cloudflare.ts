/** `websock-js/cloudflare`: hosts handlers on Cloudflare's Workers and Durable Objects. */
import { upgradeUnmarked } from "../upgrade.ts";
import type { WebSock } from "../websock.ts";
import { DurableHost } from "./cloudflare/durable-object.ts";
import type { DurableObjectContext } from "./cloudflare/types.ts";
import { workerUpgrades } from "./cloudflare/worker.ts";
import { checkDurableObject } from "./shared/attach-arguments.ts";
import { type Attachment, checkHostOptions, type HostOptions } from "./shared/host.ts";

export type { DrainOptions } from "../session/group.ts";
export { upgrade } from "../upgrade.ts";
export { capabilities, durableCapabilities } from "./cloudflare/transport.ts";
export type { DurableObjectContext } from "./cloudflare/types.ts";
export type { Attachment, HostOptions } from "./shared/host.ts";

type Attach = {
  <Arg, State, Info = never>(
    object: object,
    ctx: DurableObjectContext,
    handler: WebSock<Arg, State, Info>,
    options?: HostOptions,
  ): Attachment<Info>;
  (
    object: object,
    ctx: DurableObjectContext,
    handlers: Readonly<Record<string, object>>,
    options?: HostOptions,
  ): Attachment;
};

/**
 * Lets the requests of a Durable Object be upgraded, with connections that it may sleep between the messages of: the state
 * that callbacks return is kept with the connection, and when the object wakes up, they go on with it.
 *
 * ```ts
 * export class Room extends DurableObject {
 *   sockets = attach(this, this.ctx, Chat);
 *   fetch(request: Request) {
 *     return upgrade(request, Chat, { room: this.ctx.id.name });
 *   }
 *   announce(news: string) {
 *     for (const self of this.sockets) self.send(news);
 *   }
 * }
 * ```
 *
 * What a variable held is lost when the object wakes up; iteration and `get(id)` find the connections again, with the ids
 * that they had. To be called in the constructor, or as a property. Several handlers are given by name: `{ chat: Chat, admin: Admin }`; a
 * name is how a connection finds its handler again, also after a deployment.
 *
 * @throws TypeError for an option or a callback that does not exist
 */
export const attach = ((
  object: object,
  ctx: DurableObjectContext,
  handlers: object,
  options: HostOptions = {},
): Attachment => {
  checkDurableObject(object, ctx, handlers);
  checkHostOptions(options);
  const single = typeof (handlers as { init?: unknown }).init === "function";
  const host = new DurableHost(
    ctx,
    single ? { "": handlers } : (handlers as Readonly<Record<string, object>>),
    options,
  );
  host.listen(object);
  const { attachment } = host;
  const { close, drain } = attachment;
  // Only who is awake can be asked to leave.
  const wakeAll = (): number => [...host.selves()].length;
  return {
    get connections() {
      return wakeAll();
    },
    get refused() {
      return attachment.refused;
    },
    close: () => {
      wakeAll();
      return close();
    },
    drain: (options) => {
      wakeAll();
      return drain(options);
    },
    [Symbol.iterator]: () => host.selves(),
    get: (id) => [...host.selves()].find((self) => self.id === id),
  };
}) as Attach;

// Elsewhere this module is only looked at.
if ("WebSocketPair" in globalThis) upgradeUnmarked(workerUpgrades);
