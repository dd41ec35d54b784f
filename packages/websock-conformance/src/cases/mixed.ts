/** Valid traffic of every kind, in an order and in chunks that depend on a seed. */
import { type Row, script, section, wireClass } from "../case.ts";
import { BINARY, encode, type Frame, fragments, ping, pong, TEXT } from "../frames.ts";
import { answersTo } from "../owed.ts";
import { mixed as mixedText, noise } from "../payloads.ts";

/** A pseudorandom number generator: returns integers below a limit. */
const dice = (seed: number): ((limit: number) => number) => {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
};

/** In ascending order: small ones are chosen most often. */
const SIZES = [0, 1, 2, 5, 17, 64, 124, 125, 126, 127, 128, 200, 1_000, 4_096, 65_535, 65_536, 70_000];

const traffic = (roll: (limit: number) => number): Frame[] => {
  const size = (): number => SIZES[Math.min(roll(SIZES.length), roll(SIZES.length), roll(SIZES.length))]!;
  const control = (): Frame => (roll(3) === 0 ? pong : ping)(noise(roll(126), 1 + roll(1_000)));
  const message = (): Frame[] => {
    const opcode = roll(2) === 0 ? TEXT : BINARY;
    const payload = opcode === TEXT ? mixedText(size()) : noise(size(), 1 + roll(1_000));
    const cuts = Array.from({ length: roll(4) }, () => roll(payload.length + 1)).sort((a, b) => a - b);
    return fragments(
      opcode,
      [0, ...cuts].map((from, i) => payload.subarray(from, cuts[i])),
    );
  };
  return Array.from({ length: 60 }, () =>
    roll(5) === 0 ? [control()] : message().flatMap((one) => (roll(4) === 0 ? [one, control()] : [one])),
  ).flat();
};

const soak = (seed: number): Row =>
  script(`seed ${seed}`, async (peer) => {
    const roll = dice(seed);
    const sent = traffic(roll);
    const stream = encode(sent);
    const write = async (): Promise<void> => {
      for (let at = 0; at < stream.length; ) {
        const size = 1 + roll([3, 20, 200, 5_000, 100_000][roll(5)]!);
        await peer.chop(stream.subarray(at, at + size));
        at += size;
      }
    };
    await Promise.all([write(), peer.answers(answersTo(sent))]);
    await peer.finishes();
  });

export const mixedTraffic = wireClass(11, "mixed traffic", [
  section(
    "soak",
    Array.from({ length: 20 }, (_, i) => soak(i + 1)),
  ),
]);
