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
 * Adds WebSockets to a Durable Object. The object can hibernate between messages: the state that callbacks return is
 * stored with the connection and restored when the object wakes up.
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
 * Call it in the constructor or as a property initializer. Variables do not survive hibernation; use iteration and
 * `get(id)` to find connections again, which keep their ids. Pass several handlers by name: `{ chat: Chat, admin: Admin
 * }`. The name is stored with each connection and identifies its handler after hibernation or a deployment.
 *
 * @throws TypeError for an unknown option or callback
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
  // Connections have to be restored before they can be counted or closed.
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

// Importing this module on another host has no effect.
if ("WebSocketPair" in globalThis) upgradeUnmarked(workerUpgrades);
