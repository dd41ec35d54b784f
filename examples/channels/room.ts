/** The channel of a room: what its people say, and who is there. */
import { accept, channel, refuse, reply } from "websock-js/channels";
import { Presence, PubSub } from "websock-js/pubsub";

export interface User {
  readonly name: string;
}

export const pubsub = new PubSub();

const presence = new Presence<{ since: number }>(pubsub);

const MAX_LENGTH = 1_000;

export const Room = channel<User>()({
  presence,
  join: (_payload, { topic, shared: { name }, self }) => {
    if (topic === "room:staff" && name !== "ada") return refuse("only ada may enter");
    presence.track(self, topic, name, { since: Date.now() });
    return accept({ said: 0 });
  },
  handleIn: {
    say: (text, state, socket) => {
      if (typeof text !== "string" || text.length > MAX_LENGTH)
        return reply("error", { reason: "not a short text" }, state);
      socket.broadcast("said", { name: socket.shared.name, text });
      return reply("ok", {}, { said: state.said + 1 });
    },
  },
});
