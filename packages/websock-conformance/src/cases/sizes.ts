/** Large messages: in one frame, in many fragments, in small chunks. Many messages. */
import { echoes, type Row, script, section, wireClass } from "../case.ts";
import { BINARY, type Frame, fragments, frame, parts, TEXT } from "../frames.ts";
import { answersTo } from "../owed.ts";
import { mixed, noise } from "../payloads.ts";

const KiB = 1_024;
const MiB = 1_024 * KiB;

const sized = (size: number): string =>
  size >= MiB ? `${size / MiB} MiB` : size >= KiB && size % KiB === 0 ? `${size / KiB} KiB` : `${size} bytes`;

const payload = (opcode: number, size: number): Buffer => (opcode === TEXT ? mixed(size) : noise(size));
const whole = (opcode: number, size: number): Frame[] => [frame(opcode, payload(opcode, size))];

/** A section of text, and the same of binary. */
const both = (title: string, rows: (opcode: number) => Row[]): Row[][] =>
  [TEXT, BINARY].map((opcode) => section(`${opcode === TEXT ? "text" : "binary"}, ${title}`, rows(opcode)));

const inFragments = (size: number, fragmentSizes: readonly number[]): Row[][] =>
  both(`${sized(size)} in fragments of`, (opcode) =>
    fragmentSizes.map((each) => echoes(sized(each), () => fragments(opcode, parts(payload(opcode, size), each)))),
  );

const inChunks = (size: number, chunkSizes: readonly number[]): Row[][] =>
  both(`${sized(size)} in one frame, in chunks of`, (opcode) =>
    chunkSizes.map((how) => echoes(sized(how), () => whole(opcode, size), { how })),
  );

const eachAwaited = (opcode: number, size: number): Row =>
  script(sized(size), async (peer) => {
    const sent = whole(opcode, size);
    for (let i = 0; i < 1_000; i++) {
      await peer.send(sent);
      await peer.answers(answersTo(sent));
    }
    await peer.finishes();
  });

const allAtOnce = (opcode: number, size: number): Row =>
  echoes(sized(size), () => Array.from({ length: 1_000 }, (_, i) => whole(opcode, Math.max(0, size - (i % 8)))).flat());

const LARGE = [64 * KiB, 256 * KiB, MiB, 4 * MiB, 8 * MiB, 16 * MiB];
const SMALL = [0, 16, 64, 256, KiB, 4 * KiB];

export const sizes = wireClass(9, "sizes", [
  ...both("in one frame", (opcode) => LARGE.map((size) => echoes(sized(size), () => whole(opcode, size)))),
  ...inFragments(MiB, [64, 256, KiB, 4 * KiB, 16 * KiB, 64 * KiB, 256 * KiB, MiB]),
  ...inFragments(16 * MiB, [64, 64 * KiB]),
  ...inChunks(MiB, [64, 128, 256, 512, KiB, 1_300, 2 * KiB, 64 * KiB]),
  ...inChunks(16 * MiB, [1_300]),
  ...both("1 000 messages, each awaited, of", (opcode) => SMALL.map((size) => eachAwaited(opcode, size))),
  ...both("1 000 messages without waiting, of", (opcode) => SMALL.map((size) => allAtOnce(opcode, size))),
]);
