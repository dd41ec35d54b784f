/** `websock-js/cloudflare`: WebSockets on Cloudflare Workers and Durable Objects. */
import { upgradeUnmarked } from "../upgrade.ts";
import type { WebSock } from "../websock.ts";
import { DurableHost, type DurableOptions } from "./cloudflare/durable-object.ts";
import type { DurableObjectContext } from "./cloudflare/types.ts";
import { workerUpgrades } from "./cloudflare/worker.ts";
import { checkDurableObject } from "./shared/attach-arguments.ts";
import type { Attachment } from "./shared/attachment.ts";
import { checkHostOptions } from "./shared/host.ts";

export { UpgradeError } from "../errors.ts";
export type { DrainOptions } from "../session/drain-options.ts";
export { upgrade } from "../upgrade.ts";
export { capabilities, durableCapabilities } from "./cloudflare/capabilities.ts";
export type { DurableObjectContext } from "./cloudflare/types.ts";
export type { Attachment, HostOptions } from "./shared/attachment.ts";

/** Options of {@link attach}. */
export type AttachOptions = DurableOptions;

type Attach = {
  <Arg, State, Info = never>(
    object: object,
    ctx: DurableObjectContext,
    handler: WebSock<Arg, State, Info>,
    options?: AttachOptions,
  ): Attachment<Info>;
  (
    object: object,
    ctx: DurableObjectContext,
    handlers: Readonly<Record<string, object>>,
    options?: AttachOptions,
  ): Attachment;
};

/**
 * Enables `upgrade` in a Durable Object, with connections that survive its hibernation. The state that callbacks return
 * is stored with the connection, and passed to the next callback when the object wakes up. Variables lose their values
 * during hibernation, so keep everything in the state or in `ctx.storage`.
 *
 * Call it in the constructor or in a class field. A Worker needs no `attach`: there, `upgrade` works by itself.
 *
 * ```ts
 * export class Room extends DurableObject {
 *   sockets = attach(this, this.ctx, Chat);
 *   fetch(request: Request) {
 *     return upgrade(request, Chat, { room: this.ctx.id.toString() });
 *   }
 *   announce(news: string) {
 *     for (const self of this.sockets) self.send(news);
 *   }
 * }
 * ```
 *
 * After hibernation, iteration and `get(id)` of the returned object still find all connections, with the same ids.
 *
 * The state must be serializable by the structured clone algorithm, and fit into the attachment of a WebSocket. A state
 * that does not is reported to `onError` and closes the connection with 1011.
 *
 * @see https://developers.cloudflare.com/durable-objects/best-practices/websockets/
 *
 * @param object the Durable Object: `this`
 * @param ctx the context of the Durable Object: `this.ctx`
 * @param handler the handler, or an object of several named handlers: `{ chat: Chat, admin: Admin }`. A hibernated
 * connection finds its handler by that name, also after a deployment
 * @param options the options of all connections, and error handling
 * @returns an object that counts, closes and drains the connections
 * @throws TypeError for an unknown option, an invalid handler, or anything but a Durable Object and its context
 */
export const attach = ((
  object: object,
  ctx: DurableObjectContext,
  handlers: object,
  options: AttachOptions = {},
): Attachment => {
  checkDurableObject(object, ctx, handlers);
  checkHostOptions(options, "pubsub");
  const single = typeof (handlers as { init?: unknown }).init === "function";
  const host = new DurableHost(
    ctx,
    single ? { "": handlers } : (handlers as Readonly<Record<string, object>>),
    options,
  );
  host.listen(object);
  const { attachment } = host;
  const { close, drain } = attachment;
  // A hibernated connection has no session until it is restored, and only a session can be closed.
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

// On other hosts, this module is imported only for its types and capabilities.
if ("WebSocketPair" in globalThis) upgradeUnmarked(workerUpgrades);
