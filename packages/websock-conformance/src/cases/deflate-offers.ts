/** Negotiation of permessage-deflate (RFC 7692 §7.1). `negotiation.ts` checks every response. */
import { type Row, script, section, wireClass } from "../case.ts";
import { BINARY, TEXT, text } from "../frames.ts";
import { Unimplemented } from "../outcome.ts";
import { answersTo } from "../owed.ts";
import { json, mixed } from "../payloads.ts";
import type { Peer } from "../peer.ts";
import { compressed } from "../sent.ts";
import { Refused } from "../target.ts";

const NAME = "permessage-deflate";

/**
 * Checks that the server honours the negotiated parameters: with repetitions within and across messages, near and far.
 */
const prove = async (peer: Peer): Promise<void> => {
  const sent = [json(600), json(600), mixed(300), json(5_000), json(5_000)].flatMap((payload) => [
    compressed(TEXT, payload),
    compressed(BINARY, payload),
  ]);
  await Promise.all([peer.send(sent), peer.answers(answersTo(sent))]);
  await peer.finishes();
};

const accepted = (title: string, offers: string | readonly string[]): Row => ({
  title,
  run: async (run) => {
    const peer = await run.open({ extensions: offers });
    if (peer.params === undefined) throw new Unimplemented("the server declined the offer");
    await prove(peer);
  },
});

const accepts = (params: string): Row => accepted(`${NAME}${params}`, NAME + params);

/**
 * §7.1: the server MUST decline the offer. RFC 6455 §9.1: if the header is malformed, it may also refuse the handshake.
 */
const declines = (offer: string, malformed = false): Row => ({
  title: offer,
  run: async (run) => {
    try {
      const peer = await run.open({ extensions: offer });
      await peer.send([text("not compressed")]);
      await peer.answers(answersTo([text("not compressed")]));
      await peer.finishes();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (!malformed)
        run.note("non-strict", `refused the handshake with status ${error.status} instead of declining the offer`);
    }
  },
});

const declinesParams = (params: string): Row => declines(`${NAME}; ${params}`);

const BITS = [8, 9, 10, 11, 12, 13, 14, 15];

export const deflateOffers = wireClass(12, "permessage-deflate: offers", [
  section("takeover", [
    accepts(""),
    accepts("; server_no_context_takeover"),
    accepts("; client_no_context_takeover"),
    accepts("; server_no_context_takeover; client_no_context_takeover"),
    accepts(
      "; client_no_context_takeover; server_no_context_takeover; client_max_window_bits; server_max_window_bits=15",
    ),
  ]),
  section(
    "server_max_window_bits",
    BITS.map((bits) => accepts(`; server_max_window_bits=${bits}`)),
  ),
  section("client_max_window_bits", [
    accepts("; client_max_window_bits"),
    ...BITS.map((bits) => accepts(`; client_max_window_bits=${bits}`)),
  ]),
  section(
    "both windows",
    BITS.map((bits) => accepts(`; server_max_window_bits=${bits}; client_max_window_bits=${23 - bits}`)),
  ),
  section("form", [
    accepts('; server_max_window_bits="10"'),
    accepts('; client_max_window_bits="10"'),
    accepts('; client_max_window_bits="15"; server_max_window_bits="15"'),
    accepts(";client_max_window_bits;server_no_context_takeover"),
    accepts("  ;  client_max_window_bits  ;  server_no_context_takeover  "),
  ]),
  section("several offers", [
    accepted("in one header", `${NAME}; server_max_window_bits=10, ${NAME}`),
    accepted("in two headers", [`${NAME}; server_max_window_bits=10`, NAME]),
    accepted("the first is another extension", `x-unknown; a=1, ${NAME}; client_max_window_bits`),
    accepted("the first is another extension, in two headers", ["x-unknown; a=1", `${NAME}; client_max_window_bits`]),
    accepted("the first must be declined for its parameter", `${NAME}; unknown, ${NAME}`),
    accepted(
      "the first must be declined for its value",
      `${NAME}; server_max_window_bits=16, ${NAME}; client_no_context_takeover`,
    ),
    accepted("the first must be declined for a duplicate", [
      `${NAME}; client_max_window_bits; client_max_window_bits=10`,
      NAME,
    ]),
    accepted(
      "from the most to the least demanding",
      `${NAME}; server_max_window_bits=8; server_no_context_takeover, ${NAME}; server_max_window_bits=12, ${NAME}`,
    ),
  ]),
  section(
    "must be declined: unknown parameter",
    ["unknown", "unknown=1", "server_max_window_bits=10; x"].map(declinesParams),
  ),
  section(
    "must be declined: duplicate parameter",
    [
      "server_no_context_takeover; server_no_context_takeover",
      "client_no_context_takeover; client_no_context_takeover",
      "server_max_window_bits=10; server_max_window_bits=10",
      "client_max_window_bits; client_max_window_bits=15",
      "client_max_window_bits=9; client_max_window_bits=10",
    ].map(declinesParams),
  ),
  section(
    "must be declined: invalid value",
    [
      "server_no_context_takeover=1",
      "client_no_context_takeover=true",
      'server_no_context_takeover="0"',
      "server_max_window_bits",
      ...["7", "16", "0", "08", "010", "15.0", "1e1", "0xf", "+9", "abc", "8a", "99999999999999999999"].map(
        (value) => `server_max_window_bits=${value}`,
      ),
      ...["7", "16", "0", "08", "abc", "15x"].map((value) => `client_max_window_bits=${value}`),
      'server_max_window_bits="16"',
      'client_max_window_bits="7"',
    ].map(declinesParams),
  ),
  section(
    "malformed",
    [
      `${NAME};`,
      `${NAME}; =`,
      `${NAME}; server_max_window_bits=`,
      `${NAME}; a b`,
      `; ${NAME}`,
      `${NAME}; server_max_window_bits="10`,
    ].map((offer) => declines(offer, true)),
  ),
  section("no compression without an offer", [
    script("no offer", async (peer) => {
      await peer.send([text(json(5_000))]);
      await peer.answers(answersTo([text(json(5_000))]));
      await peer.finishes();
    }),
  ]),
]);
