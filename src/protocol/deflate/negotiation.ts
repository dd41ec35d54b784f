/** Negotiation of permessage-deflate (RFC 7692 §5 and §7.1). */
import type { ExtensionOffer } from "../http/extensions.ts";

export const PERMESSAGE_DEFLATE = "permessage-deflate";

/** The option `compress` with all defaults. */
export interface CompressionSettings {
  readonly level: number;
  readonly memLevel: number;
  readonly threshold: number;
  readonly serverNoContextTakeover: boolean;
  readonly clientNoContextTakeover: boolean;
  readonly serverMaxWindowBits: number;
  readonly clientMaxWindowBits: number;
  readonly maxInflation: number;
}

/** The parameters that were negotiated for a connection (RFC 7692 §7.1). */
export interface DeflateParameters {
  readonly serverNoContextTakeover: boolean;
  readonly clientNoContextTakeover: boolean;
  /** The base-2 logarithm of the size of the window that the server compresses with, 8–15. */
  readonly serverMaxWindowBits: number;
  /** The same for the client. */
  readonly clientMaxWindowBits: number;
  /** The value of `Sec-WebSocket-Extensions` in the response. */
  readonly answer: string;
}

/** The parameters of an offer. */
interface Offered {
  server_no_context_takeover?: true;
  client_no_context_takeover?: true;
  server_max_window_bits?: number;
  /** `true`: the server may choose the value. */
  client_max_window_bits?: number | true;
}

/** §7.1: an offer with an unknown parameter, a duplicate parameter or an invalid value is declined. */
const readOffer = ({ parameters }: ExtensionOffer): Offered | undefined => {
  const offered: Offered = {};
  for (const [name, value] of parameters) {
    if (Object.hasOwn(offered, name)) return undefined;
    switch (name) {
      case "server_no_context_takeover":
      case "client_no_context_takeover":
        if (value !== undefined) return undefined;
        offered[name] = true;
        break;
      case "server_max_window_bits":
      case "client_max_window_bits":
        // §7.1.2: a decimal integer from 8 to 15 without leading zeros. Only client_max_window_bits may have no value.
        if (value === undefined && name === "client_max_window_bits") offered[name] = true;
        else if (value !== undefined && /^(?:[89]|1[0-5])$/.test(value)) offered[name] = Number(value);
        else return undefined;
        break;
      default:
        return undefined;
    }
  }
  return offered;
};

/** Accepts the first valid offer. Without one, the connection is not compressed (§5.1). */
export const negotiateDeflate = (
  offers: readonly ExtensionOffer[],
  settings: CompressionSettings,
): DeflateParameters | undefined => {
  for (const offer of offers) {
    const offered = offer.name === PERMESSAGE_DEFLATE ? readOffer(offer) : undefined;
    if (offered !== undefined) return agree(offered, settings);
  }
  return undefined;
};

const agree = (offered: Offered, settings: CompressionSettings): DeflateParameters => {
  // §7.1.1: either side may request this, and the response may include it although the client did not offer it.
  const serverNoContextTakeover = settings.serverNoContextTakeover || offered.server_no_context_takeover === true;
  const clientNoContextTakeover = settings.clientNoContextTakeover || offered.client_no_context_takeover === true;
  // §7.1.2.1: a value that the client requests must be confirmed. A smaller window needs no announcement.
  const serverMaxWindowBits = Math.min(settings.serverMaxWindowBits, offered.server_max_window_bits ?? 15);
  // §7.1.2.2: only a client that offered this parameter may be required to use a smaller window.
  const { client_max_window_bits: hint } = offered;
  const clientMaxWindowBits =
    hint === undefined ? 15 : Math.min(settings.clientMaxWindowBits, hint === true ? 15 : hint);
  const answer = [PERMESSAGE_DEFLATE];
  if (serverNoContextTakeover) answer.push("server_no_context_takeover");
  if (clientNoContextTakeover) answer.push("client_no_context_takeover");
  if (offered.server_max_window_bits !== undefined) answer.push(`server_max_window_bits=${serverMaxWindowBits}`);
  if (hint !== undefined && clientMaxWindowBits < 15) answer.push(`client_max_window_bits=${clientMaxWindowBits}`);
  return {
    serverNoContextTakeover,
    clientNoContextTakeover,
    serverMaxWindowBits,
    clientMaxWindowBits,
    answer: answer.join("; "),
  };
};
