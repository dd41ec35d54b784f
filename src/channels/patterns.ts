/** Which channel handles a topic. */
import { codedTypeError } from "../error-codes.ts";

/** Finds a channel by topic: by its exact name first, then by the longest prefix. */
export class Patterns<Channel> {
  private readonly exact = new Map<string, Channel>();
  /** The longest first. */
  private readonly prefixes: (readonly [prefix: string, channel: Channel])[] = [];

  /**
   * @param channels by topic, such as `lobby`, or by what topics begin with, such as `room:*`
   * @throws TypeError for an asterisk that is not the last character, and for an empty topic
   */
  constructor(channels: Iterable<readonly [pattern: string, channel: Channel]>) {
    for (const [pattern, channel] of channels) {
      const asterisk = pattern.indexOf("*");
      if (pattern === "" || pattern === "phoenix")
        throw codedTypeError("WEBSOCK_INVALID_CHANNEL", `a channel cannot have the topic ${JSON.stringify(pattern)}`);
      if (asterisk !== -1 && asterisk !== pattern.length - 1)
        throw codedTypeError(
          "WEBSOCK_INVALID_CHANNEL",
          `an asterisk must be the last character of a topic, unlike in "${pattern}"`,
        );
      if (asterisk === -1) this.exact.set(pattern, channel);
      else this.prefixes.push([pattern.slice(0, -1), channel]);
    }
    this.prefixes.sort(([a], [b]) => b.length - a.length);
  }

  find(topic: string): Channel | undefined {
    return this.exact.get(topic) ?? this.prefixes.find(([prefix]) => topic.startsWith(prefix))?.[1];
  }
}
