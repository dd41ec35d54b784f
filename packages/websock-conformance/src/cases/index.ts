/** Every class of cases. */
import type { WireClass } from "../case.ts";
import { closing } from "./closing.ts";
import { deflateMessages } from "./deflate-messages.ts";
import { deflateOffers } from "./deflate-offers.ts";
import { deflateViolations } from "./deflate-violations.ts";
import { fragmentation } from "./fragmentation.ts";
import { framing } from "./framing.ts";
import { handshake } from "./handshake.ts";
import { masking } from "./masking.ts";
import { mixedTraffic } from "./mixed.ts";
import { pings } from "./ping.ts";
import { opcodes, reservedBits } from "./reserved.ts";
import { sizes } from "./sizes.ts";
import { text8 } from "./utf8.ts";

export const wireClasses: readonly WireClass[] = [
  framing,
  pings,
  reservedBits,
  opcodes,
  fragmentation,
  text8,
  closing,
  handshake,
  sizes,
  masking,
  mixedTraffic,
  deflateOffers,
  deflateMessages,
  deflateViolations,
];
