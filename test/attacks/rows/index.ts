/** Every attack, in the order of the table. */
import type { Attack } from "../attack.ts";
import { floodAttacks } from "./floods.ts";
import { handlerAttacks } from "./handlers.ts";
import { handshakeAttacks } from "./handshake.ts";
import { COMPRESSION, inflationAttacks } from "./inflation.ts";
import { messageAttacks } from "./messages.ts";
import { resetAttacks } from "./resets.ts";
import { shutdownAttacks } from "./shutdown.ts";
import { silenceAttacks } from "./silence.ts";
import { smugglingAttacks } from "./smuggling.ts";

export const attacks: readonly Attack[] = [
  ...handshakeAttacks,
  ...smugglingAttacks,
  ...resetAttacks,
  ...messageAttacks,
  ...inflationAttacks,
  ...floodAttacks,
  ...silenceAttacks,
  ...shutdownAttacks,
  ...handlerAttacks,
];

/** Those that nothing can be said about yet. */
export const unmeasured: readonly Attack[] = COMPRESSION ? [] : inflationAttacks;
