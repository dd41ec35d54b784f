/** A room in which everybody receives what anybody sends. Some messages make it slow, or fail. */
import { type DataMessage, type HandleResult, json, ok, push, type Self } from "websock-js";
import type { Topic } from "websock-js/pubsub";

export class Room {
  readonly topic: Topic;

  constructor(topic: Topic) {
    this.topic = topic;
  }

  init(_arg: undefined, self: Self): HandleResult<number> {
    this.topic.subscribe(self);
    return ok(0);
  }

  async handleIn(message: DataMessage, count: number): Promise<HandleResult<number>> {
    if (message.data === "fail") throw new RangeError("a message that this room does not understand");
    if (message.data === "wait") {
      await new Promise((resolve) => setTimeout(resolve, 30));
      return push(json({ waited: true }), count + 1);
    }
    this.topic.publish(message);
    return ok(count + 1);
  }
}
