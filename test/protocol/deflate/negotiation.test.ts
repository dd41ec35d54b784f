import { describe, expect, test } from "vitest";
import { type CompressOptions, resolveOptions } from "../../../src/options.ts";
import { negotiateDeflate } from "../../../src/protocol/deflate/negotiation.ts";
import { parseExtensions } from "../../../src/protocol/http/extensions.ts";

const negotiate = (header: string, compress: CompressOptions = {}) =>
  negotiateDeflate(parseExtensions(header)!, resolveOptions({ compress }).compress!);

const BOTH = "server_no_context_takeover; client_no_context_takeover";
const TAKEOVER = { serverNoContextTakeover: false, clientNoContextTakeover: false };

describe("negotiateDeflate", () => {
  // Header, our options, the answer: RFC 7692 §7.1.
  test.each<[string, CompressOptions, string | undefined]>([
    ["", {}, undefined],
    ["x-webkit-deflate-frame", {}, undefined],
    ["permessage-deflate", {}, `permessage-deflate; ${BOTH}`],
    ["permessage-deflate", TAKEOVER, "permessage-deflate"],
    ["permessage-deflate; server_no_context_takeover", TAKEOVER, "permessage-deflate; server_no_context_takeover"],
    ["permessage-deflate; client_no_context_takeover", TAKEOVER, "permessage-deflate; client_no_context_takeover"],
    [
      "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
      TAKEOVER,
      `permessage-deflate; ${BOTH}`,
    ],
    // What the client asks of us is confirmed; what it does not ask we do without a word.
    ["permessage-deflate; server_max_window_bits=10", TAKEOVER, "permessage-deflate; server_max_window_bits=10"],
    ['permessage-deflate; server_max_window_bits="10"', TAKEOVER, "permessage-deflate; server_max_window_bits=10"],
    ["permessage-deflate; server_max_window_bits=8", TAKEOVER, "permessage-deflate; server_max_window_bits=8"],
    ["permessage-deflate; server_max_window_bits=15", TAKEOVER, "permessage-deflate; server_max_window_bits=15"],
    [
      "permessage-deflate; server_max_window_bits=12",
      { ...TAKEOVER, serverMaxWindowBits: 9 },
      "permessage-deflate; server_max_window_bits=9",
    ],
    ["permessage-deflate", { ...TAKEOVER, serverMaxWindowBits: 9 }, "permessage-deflate"],
    // Only a client that offers it may be told.
    ["permessage-deflate; client_max_window_bits", TAKEOVER, "permessage-deflate"],
    [
      "permessage-deflate; client_max_window_bits",
      { ...TAKEOVER, clientMaxWindowBits: 10 },
      "permessage-deflate; client_max_window_bits=10",
    ],
    [
      "permessage-deflate; client_max_window_bits=9",
      { ...TAKEOVER, clientMaxWindowBits: 10 },
      "permessage-deflate; client_max_window_bits=9",
    ],
    ["permessage-deflate", { ...TAKEOVER, clientMaxWindowBits: 10 }, "permessage-deflate"],
    // Declined, and the next one taken.
    ["permessage-deflate; unknown, permessage-deflate", TAKEOVER, "permessage-deflate"],
    ["permessage-deflate; unknown", {}, undefined],
    ["permessage-deflate; server_max_window_bits", {}, undefined],
    ...["7", "16", "08", "1e1", "10.0", "+10", "x"].flatMap((bits): [string, CompressOptions, undefined][] => [
      [`permessage-deflate; server_max_window_bits=${bits}`, {}, undefined],
      [`permessage-deflate; client_max_window_bits=${bits}`, {}, undefined],
    ]),
    ["permessage-deflate; server_no_context_takeover=1", {}, undefined],
    ["permessage-deflate; client_no_context_takeover=true", {}, undefined],
    ["permessage-deflate; server_no_context_takeover; server_no_context_takeover", {}, undefined],
    ["permessage-deflate; client_max_window_bits; client_max_window_bits=9", {}, undefined],
    ["Permessage-Deflate", {}, undefined],
    [
      "other; a=1, permessage-deflate; server_max_window_bits=9",
      TAKEOVER,
      "permessage-deflate; server_max_window_bits=9",
    ],
    ["permessage-deflate; __proto__", {}, undefined],
  ])("%j with %j: %j", (header, compress, answer) => {
    expect(negotiate(header, compress)?.answer).toBe(answer);
  });

  test("gives the windows that both sides will use", () => {
    const header = "permessage-deflate; server_max_window_bits=9; client_max_window_bits=12";
    expect(negotiate(header, { clientMaxWindowBits: 14 })).toMatchObject({
      serverMaxWindowBits: 9,
      clientMaxWindowBits: 12,
      serverNoContextTakeover: true,
      clientNoContextTakeover: true,
    });
    expect(negotiate("permessage-deflate", { serverMaxWindowBits: 10, clientMaxWindowBits: 10 })).toMatchObject({
      serverMaxWindowBits: 10,
      clientMaxWindowBits: 15,
    });
  });
});
