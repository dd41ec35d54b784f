/** Checks whether the server's response is allowed for the client's offers (RFC 7692 §7.1). */
import { Failure } from "./outcome.ts";

/** The negotiated parameters. */
export interface DeflateParams {
  readonly serverNoContextTakeover: boolean;
  readonly clientNoContextTakeover: boolean;
  readonly serverMaxWindowBits: number;
  readonly clientMaxWindowBits: number;
}

interface Extension {
  readonly name: string;
  /** In order; `undefined`: a parameter without a value. */
  readonly params: readonly (readonly [name: string, value: string | undefined])[];
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

const unquoted = (value: string): string =>
  /^".*"$/s.test(value) ? value.slice(1, -1).replace(/\\(.)/gs, "$1") : value;

/**
 * Parses `Sec-WebSocket-Extensions` (RFC 6455 §9.1). Does not support quoted commas and semicolons, which this suite
 * never offers.
 *
 * @returns `undefined` if the header is malformed
 */
export const parseExtensions = (header: string): readonly Extension[] | undefined => {
  const extensions = header.split(",").map((one) => {
    const [name, ...params] = one.split(";").map((part) => part.trim()) as [string, ...string[]];
    return {
      name,
      params: params.map((param) => {
        const [key, ...value] = param.split("=") as [string, ...string[]];
        return [key.trim(), value.length === 0 ? undefined : unquoted(value.join("=").trim())] as const;
      }),
    };
  });
  const valid = extensions.every(
    ({ name, params }) =>
      TOKEN.test(name) && params.every(([key, value]) => TOKEN.test(key) && (value === undefined || TOKEN.test(value))),
  );
  return valid ? extensions : undefined;
};

const isBits = (value: string | undefined): boolean => value !== undefined && /^([89]|1[0-5])$/.test(value);

/** Checks for each parameter's value, in an offer and in a response. */
const VALUES: Readonly<Record<string, Record<"offer" | "answer", (value: string | undefined) => boolean>>> = {
  server_no_context_takeover: { offer: (value) => value === undefined, answer: (value) => value === undefined },
  client_no_context_takeover: { offer: (value) => value === undefined, answer: (value) => value === undefined },
  server_max_window_bits: { offer: isBits, answer: isBits },
  client_max_window_bits: { offer: (value) => value === undefined || isBits(value), answer: isBits },
};

/** What is wrong with a permessage-deflate element on its own. */
const flaw = ({ params }: Extension, side: "offer" | "answer"): string | undefined => {
  const seen = new Set<string>();
  for (const [name, value] of params) {
    if (!Object.hasOwn(VALUES, name)) return `the parameter ${name} is unknown`;
    if (seen.has(name)) return `${name} appears twice`;
    seen.add(name);
    if (!VALUES[name]![side](value)) return `${name} has the value ${value ?? "(none)"}`;
  }
  return undefined;
};

/** Why a response does not match an offer. */
const misfit = (offer: Extension, answer: Extension): string | undefined => {
  const [offered, answered] = [new Map(offer.params), new Map(answer.params)];
  // §7.1.1.1: a server accepts it by including it in the response.
  if (offered.has("server_no_context_takeover") && !answered.has("server_no_context_takeover")) {
    return "server_no_context_takeover was requested, but is not in the response";
  }
  // §7.1.2.1: the same value or a smaller one.
  if (offered.has("server_max_window_bits")) {
    if (!answered.has("server_max_window_bits"))
      return "server_max_window_bits was requested, but is not in the response";
    if (Number(answered.get("server_max_window_bits")) > Number(offered.get("server_max_window_bits"))) {
      return "server_max_window_bits is larger than requested";
    }
  }
  // §7.1.2.2: MUST NOT be in the response if it was not in the offer.
  if (answered.has("client_max_window_bits")) {
    if (!offered.has("client_max_window_bits")) return "client_max_window_bits was not offered, but is in the response";
    if (Number(answered.get("client_max_window_bits")) > Number(offered.get("client_max_window_bits") ?? 15)) {
      return "client_max_window_bits is larger than offered";
    }
  }
  return undefined;
};

/**
 * @returns the negotiated parameters; `undefined`: no compression
 * @throws Failure if the response is not allowed
 */
export const judgeAnswer = (offers: readonly string[], header: string | undefined): DeflateParams | undefined => {
  if (header === undefined) return undefined;
  const answers = parseExtensions(header);
  if (answers === undefined) throw new Failure(`the response has malformed extensions: ${header}`);
  const names = offers.flatMap((offer) => offer.split(",")).map((one) => one.split(";")[0]!.trim());
  const stranger = answers.find(({ name }) => !names.includes(name));
  if (stranger) throw new Failure(`the response has the extension ${stranger.name}, which was not offered`);
  const [answer, ...others] = answers;
  if (answer?.name !== "permessage-deflate") throw new Failure(`the response accepts ${header}, which does not exist`);
  if (others.length > 0) throw new Failure(`the response accepts permessage-deflate more than once: ${header}`);
  const wrong = flaw(answer, "answer");
  if (wrong) throw new Failure(`in the response "${header}", ${wrong}`);

  // RFC 7692 §7.1: an invalid offer MUST be declined.
  const valid = offers
    .flatMap((offer) => parseExtensions(offer) ?? [])
    .filter((offer) => offer.name === "permessage-deflate" && flaw(offer, "offer") === undefined);
  if (valid.length === 0) throw new Failure(`the response "${header}" accepts an offer that must be declined`);
  const misfits = valid.map((offer) => misfit(offer, answer));
  if (misfits.every((why) => why !== undefined)) throw new Failure(`in the response "${header}", ${misfits[0]}`);

  const params = new Map(answer.params);
  return {
    serverNoContextTakeover: params.has("server_no_context_takeover"),
    clientNoContextTakeover: params.has("client_no_context_takeover"),
    serverMaxWindowBits: Number(params.get("server_max_window_bits") ?? 15),
    clientMaxWindowBits: Number(params.get("client_max_window_bits") ?? 15),
  };
};
