/** Our echo over HTTP/1.1, and the wire suite's verdict. */
import http from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { upgrade, type WebSockOptions } from "websock-js";
import { attach, capabilities } from "websock-js/node";
import {
  http1Target,
  runCases,
  selectCases,
  type WireResult,
  type WireTarget,
  wireClasses,
} from "websock-js/testing/wire";
import { selfSigned } from "../support/certificate.ts";
import { Echo } from "../support/node-server.ts";

/** The one switch: our server has permessage-deflate. As long as it does not, it must decline it as the RFC says. */
const HAVE_COMPRESSION: boolean = capabilities.compress;

/** Only sizes are raised. */
const SIZES: WebSockOptions = { maxMessageSize: 32 * 1024 * 1024 };

interface Setup {
  readonly options: object;
  /** Which of the cases about compression may end otherwise than `ok`. */
  readonly mayBe: (result: WireResult) => boolean;
}

/** What the RFC is silent about. */
const isSilent = ({ id, outcome }: WireResult): boolean => outcome === "informational" && id.startsWith("14.6.");

/** The cases that need a server that keeps the client's context, which is not the default. */
const NEED_TAKEOVER = ["13.16.3", "13.16.14"];

const SETUPS: Readonly<Record<string, Setup>> = HAVE_COMPRESSION
  ? {
      "compress: true": {
        options: { compress: true },
        mayBe: (result) =>
          isSilent(result) || (result.outcome === "unimplemented" && NEED_TAKEOVER.includes(result.id)),
      },
      "compress, with takeover, whatever the size": {
        options: { compress: { serverNoContextTakeover: false, clientNoContextTakeover: false, threshold: 0 } },
        mayBe: isSilent,
      },
    }
  : { "no compression": { options: {}, mayBe: ({ outcome }) => outcome === "unimplemented" } };

const isDeflate = (number: number): boolean => number >= 12;

/** On a slow machine under load nothing here may be a question of time. */
const GENEROUS = { timeout: 60_000, patience: 60_000 };

const run = (target: WireTarget, only: string): Promise<WireResult[]> =>
  runCases(selectCases(wireClasses, target, [only]), target, GENEROUS);

const serve = async (options: object, tls?: https.ServerOptions): Promise<{ url: string; stop(): Promise<void> }> => {
  const server = tls === undefined ? http.createServer() : (https.createServer(tls) as unknown as http.Server);
  server.on("request", (request) => upgrade(request, Echo, undefined, { ...SIZES, ...options }));
  const sockets = attach(server, { onError: () => undefined });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `${tls === undefined ? "ws" : "wss"}://127.0.0.1:${(server.address() as AddressInfo).port}/echo?a=b`,
    stop: async () => {
      server.close();
      await sockets.close();
    },
  };
};

for (const [name, { options, mayBe }] of Object.entries(SETUPS)) {
  describe(name, () => {
    let server: Awaited<ReturnType<typeof serve>>;
    beforeAll(async () => {
      server = await serve(options);
    });
    afterAll(() => server.stop());

    for (const { number, name: className } of wireClasses) {
      test(`${number} ${className}`, { timeout: 240_000 }, async () => {
        const results = await run(http1Target(server.url, GENEROUS), `${number}.*`);
        const wrong = results.filter((result) => result.outcome !== "ok" && !(isDeflate(number) && mayBe(result)));
        expect(wrong).toEqual([]);
        expect(results.length).toBeGreaterThan(0);
      });
    }
  });
}

test("over TLS", { timeout: 240_000 }, async () => {
  const server = await serve({}, selfSigned());
  try {
    const trusting = http1Target(server.url, { ...GENEROUS, insecure: true });
    for (const only of ["1.*", "5.*", "7.*", "8.*", "9.1.*"]) {
      expect((await run(trusting, only)).filter(({ outcome }) => outcome !== "ok")).toEqual([]);
    }
    const [careful] = await run(http1Target(server.url, GENEROUS), "1.1.1");
    expect(careful).toMatchObject({ outcome: "failed", reasons: [expect.stringMatching(/self-signed certificate/)] });
  } finally {
    await server.stop();
  }
});
