/** Pings and pongs (RFC 6455 §5.5.2, §5.5.3). */
import { echoes, fails, script, section, wireClass } from "../case.ts";
import { last, more, ping, pong, text } from "../frames.ts";
import { answersTo } from "../owed.ts";
import { ascii, bytes, hex } from "../payloads.ts";

const SIZES = [0, 1, 2, 7, 124, 125];

/** Each step is answered before the next is sent. */
const stepwise = (title: string, steps: Parameters<typeof answersTo>[0]) =>
  script(title, async (peer) => {
    for (let i = 0; i < steps.length; i++) {
      const [before, now] = [answersTo(steps.slice(0, i)), answersTo(steps.slice(0, i + 1))];
      await peer.send([steps[i]!]);
      await peer.answers(now.slice(before.length));
    }
    await peer.finishes();
  });

const burst = (count: number) => Array.from({ length: count }, (_, i) => ping(`ping ${i}`));

export const pings = wireClass(2, "pings and pongs", [
  section(
    "ping",
    SIZES.map((size) => echoes(`${size} bytes`, [ping(ascii(size))])),
  ),
  section(
    "ping, byte by byte",
    SIZES.map((size) => echoes(`${size} bytes`, [ping(bytes(size))], { how: 1 })),
  ),
  section("ping with a payload", [
    echoes("that is not UTF-8", [ping(hex("00 ff fe fd fc fb 00 ff"))]),
    echoes("that looks like frames", [ping(hex("89 00 81 80 00 00 00 00 88 80 00 00 00 00"))]),
    fails("of 126 bytes", 1002, [ping(ascii(126))]),
    fails("of 126 bytes, byte by byte", 1002, [ping(ascii(126))], { how: 1 }),
    fails("of 65 536 bytes", 1002, [ping(ascii(65_536))]),
  ]),
  section("unsolicited pong", [
    echoes("empty", [pong()]),
    echoes("with a payload", [pong("unsolicited")]),
    echoes("of 125 bytes, byte by byte", [pong(bytes(125))], { how: 1 }),
    echoes("then a ping", [pong("unsolicited"), ping("ping")]),
    echoes("100 of them, then a message", [...Array.from({ length: 100 }, () => pong("again")), text("still here")]),
    fails("of 126 bytes", 1002, [pong(bytes(126))]),
  ]),
  section("burst", [
    echoes("10 pings", burst(10)),
    echoes("10 pings, byte by byte", burst(10), { how: 1 }),
    echoes("1 000 pings", burst(1_000)),
    echoes("1 000 pings in chunks of 7 bytes", burst(1_000), { how: 7 }),
    echoes(
      "messages and pings alternating",
      burst(50).flatMap((one, i) => [text(`message ${i}`), one]),
    ),
    stepwise("10 pings, each awaited", burst(10)),
  ]),
  section("ping within a fragmented message", [
    echoes("in one chunk", [text("one", { fin: false }), ping("within"), last("two")]),
    echoes("byte by byte", [text("one", { fin: false }), ping("within"), last("two")], { how: 1 }),
    stepwise("awaited", [text("one", { fin: false }), ping("within"), last("two")]),
    stepwise("several, awaited", [
      text("", { fin: false }),
      ping("first"),
      more("one"),
      ping(),
      more(),
      ping(bytes(125)),
      last("two"),
    ]),
    echoes("a pong", [text("one", { fin: false }), pong("within"), last("two")]),
    echoes("a burst", [text("one", { fin: false }), ...burst(20), more("two"), ...burst(20), last("three")]),
  ]),
]);
