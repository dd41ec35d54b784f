/** The channel of a room: what its people say, and who is there. */
import { accept, channel, noreply, refuse, reply } from "websock-js/channels";
import { Presence } from "websock-js/pubsub";
import { pubsub } from "./node.ts";

export interface User {
  readonly name: string;
}

const presence = new Presence<{ since: number; away: boolean }>(pubsub);

const MAX_LENGTH = 1_000;

export const Room = channel<User>()({
  presence,
  join: (_payload, { topic, shared: { name }, self }) => {
    if (topic === "room:staff" && name !== "ada") return refuse("only ada may enter");
    presence.track(self, topic, name, { since: Date.now(), away: false });
    return accept({ said: 0 });
  },
  handleIn: {
    away: (away, state, { self, topic, shared: { name } }) => {
      presence.update(self, topic, name, (meta) => ({ ...meta, away: away === true }));
      return noreply(state);
    },
    say: (text, state, socket) => {
      if (typeof text !== "string" || text.length > MAX_LENGTH)
        return reply("error", { reason: "not a short text" }, state);
      socket.broadcast("said", { name: socket.shared.name, text });
      return reply("ok", {}, { said: state.said + 1 });
    },
  },
});
