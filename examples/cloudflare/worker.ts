/** Cloudflare: a Durable Object for each room, which sleeps between the messages of its visitors. */
import { DurableObject } from "cloudflare:workers";
import { upgrade } from "websock-js";
import { attach } from "websock-js/cloudflare";
import * as Greeter from "../greeter.ts";
import { userOf } from "../user.ts";

interface Env {
  readonly ROOMS: {
    idFromName(name: string): unknown;
    get(id: unknown): { fetch(request: Request): Promise<Response> };
  };
}

const roomOf = (request: Request): string | undefined => /^\/rooms\/(\w+)$/.exec(new URL(request.url).pathname)?.[1];

export class Room extends DurableObject<Env> {
  readonly sockets = attach(this, this.ctx, Greeter);

  fetch(request: Request): Response {
    const user = userOf(request.headers.get("cookie") ?? undefined);
    if (user === undefined) return new Response("who are you?\n", { status: 401 });
    return upgrade(request, Greeter, { user, room: roomOf(request)! });
  }
}

export default {
  fetch(request: Request, { ROOMS }: Env): Response | Promise<Response> {
    const room = roomOf(request);
    if (room === undefined) return new Response("there is no such page\n", { status: 404 });
    return ROOMS.get(ROOMS.idFromName(room)).fetch(request);
  },
};
