/** Every attack, in the order of the table. */
import type { Attack, AttackTransport } from "../attack.ts";
import { floodAttacks } from "./floods.ts";
import { handlerAttacks } from "./handlers.ts";
import { handshakeAttacks } from "./handshake.ts";
import { http2Attacks } from "./http2.ts";
import { inflationAttacks } from "./inflation.ts";
import { messageAttacks } from "./messages.ts";
import { resetAttacks } from "./resets.ts";
import { shutdownAttacks } from "./shutdown.ts";
import { silenceAttacks } from "./silence.ts";
import { smugglingAttacks } from "./smuggling.ts";

export const attacks: readonly Attack[] = [
  ...handshakeAttacks,
  ...http2Attacks,
  ...smugglingAttacks,
  ...resetAttacks,
  ...messageAttacks,
  ...inflationAttacks,
  ...floodAttacks,
  ...silenceAttacks,
  ...shutdownAttacks,
  ...handlerAttacks,
];

/** The attacks that apply to the transport. */
export const attacksOver = ({ name }: AttackTransport): Attack[] =>
  attacks.filter(({ onlyOver }) => onlyOver === undefined || onlyOver === name);
