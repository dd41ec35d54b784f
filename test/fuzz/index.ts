/** All properties, for the short and the long mode. */
import type { Fuzz } from "../support/fuzz.ts";
import { compressions } from "./compressions.ts";
import { handshakes } from "./handshakes.ts";
import { nodes } from "./nodes.ts";
import { parts } from "./parts.ts";
import { randomBytes } from "./random-bytes.ts";
import { roundTrips } from "./round-trips.ts";
import { servers } from "./servers.ts";
import { sessions } from "./sessions.ts";
import { splits } from "./splits.ts";
import { topics } from "./topics.ts";

export const properties: readonly Fuzz[] = [
  ...splits,
  ...roundTrips,
  ...randomBytes,
  ...handshakes,
  ...compressions,
  ...parts,
  ...sessions,
  ...servers,
  ...topics,
  ...nodes,
];
