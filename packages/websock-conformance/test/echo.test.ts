/** An echo server of websock-js passes every case, over HTTP/1.1 and HTTP/2. */
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  http1Target,
  http2Target,
  runCases,
  selectCases,
  type TargetOptions,
  type WireCase,
  type WireResult,
  type WireTarget,
  wireClasses,
} from "websock-conformance";
import { upgrade, type WebSockOptions } from "websock-js";
import { attach } from "websock-js/node";
import { selfSigned } from "../../../scripts/certificate.mjs";
import { Echo } from "../../../test/support/node-server.ts";

type Tls = https.ServerOptions | undefined;

interface Transport {
  readonly createServer: (tls: Tls) => Parameters<typeof attach>[0];
  readonly targetOf: (url: string, options: TargetOptions) => WireTarget;
  readonly schemes: readonly [clear: string, tls: string];
  /** Whether a case runs with a setup: to save time, not every combination is run. */
  readonly runs: (id: string, setup: Setup) => boolean;
}

/** Messages of more than 1 MiB. With TLS, those of section 9.1 run nevertheless. */
const LARGEST = /^9\.(1|2)\.[456]$|^9\.(5|6|9|10)\./;

const TRANSPORTS: Readonly<Record<string, Transport>> = {
  "HTTP/1.1": {
    createServer: (tls) => (tls === undefined ? http.createServer() : https.createServer(tls)),
    targetOf: http1Target,
    schemes: ["ws", "wss"],
    runs: () => true,
  },
  "HTTP/2": {
    createServer: (tls) => (tls === undefined ? http2.createServer() : http2.createSecureServer(tls)),
    targetOf: http2Target,
    schemes: ["http", "https"],
    runs: (id, setup) => !LARGEST.test(id) && (setup === PLAIN || /^1[24]\./.test(id)),
  },
};

/** The default options, with larger messages. */
const SIZES: WebSockOptions = { maxMessageSize: 32 * 1024 * 1024 };

interface Setup {
  readonly options: WebSockOptions;
  /** Which of the cases about compression may have another outcome than `ok`. */
  readonly mayBe: (result: WireResult) => boolean;
}

/** Cases that the RFC does not decide. */
const isSilent = ({ id, outcome }: WireResult): boolean => outcome === "informational" && id.startsWith("14.6.");

/** Cases that need context takeover by the client, which is off by default. */
const NEED_TAKEOVER = ["13.16.3", "13.16.14"];

const PLAIN: Setup = {
  options: { compress: true },
  mayBe: (result) => isSilent(result) || (result.outcome === "unimplemented" && NEED_TAKEOVER.includes(result.id)),
};

const SETUPS: Readonly<Record<string, Setup>> = {
  "compress: true": PLAIN,
  "compress, with takeover, whatever the size": {
    options: { compress: { serverNoContextTakeover: false, clientNoContextTakeover: false, threshold: 0 } },
    mayBe: isSilent,
  },
};

const isDeflate = (id: string): boolean => Number(id.split(".")[0]) >= 12;

/** Long enough for a slow machine under load. */
const GENEROUS = { timeout: 60_000, patience: 60_000 };

const run = (target: WireTarget, cases: readonly WireCase[]): Promise<WireResult[]> =>
  runCases(cases, target, GENEROUS);

const serve = async (
  { createServer, schemes }: Transport,
  options: WebSockOptions,
  tls?: Tls,
): Promise<{ url: string; stop(): Promise<void> }> => {
  const server = createServer(tls) as http.Server;
  server.on("request", (request) => upgrade(request, Echo, undefined, { ...SIZES, ...options }));
  const sockets = attach(server, { onError: () => undefined });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const scheme = schemes[tls === undefined ? 0 : 1];
  return {
    url: `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}/echo?a=b`,
    stop: async () => {
      server.close();
      await sockets.close();
    },
  };
};

describe.each(Object.entries(TRANSPORTS))("over %s", (_version, transport) => {
  describe.each(Object.entries(SETUPS))("%s", (_setup, setup) => {
    let server: Awaited<ReturnType<typeof serve>>;
    beforeAll(async () => {
      server = await serve(transport, setup.options);
    });
    afterAll(() => server.stop());

    for (const { number, name, cases } of wireClasses) {
      if (!cases.some(({ id }) => transport.runs(id, setup))) continue;
      test(`${number} ${name}`, { timeout: 240_000 }, async () => {
        const target = transport.targetOf(server.url, GENEROUS);
        const wanted = selectCases(wireClasses, target, [`${number}.*`]).filter(({ id }) => transport.runs(id, setup));
        const results = await run(target, wanted);
        const wrong = results.filter((one) => one.outcome !== "ok" && !(isDeflate(one.id) && setup.mayBe(one)));
        expect(wrong).toEqual([]);
        expect(results.length).toBeGreaterThan(0);
      });
    }
  });

  test("with TLS", { timeout: 240_000 }, async () => {
    const server = await serve(transport, {}, selfSigned());
    try {
      const trusting = transport.targetOf(server.url, { ...GENEROUS, insecure: true });
      for (const only of ["1.*", "5.*", "7.*", "8.*", "9.1.*"]) {
        const results = await run(trusting, selectCases(wireClasses, trusting, [only]));
        expect(results.filter(({ outcome }) => outcome !== "ok")).toEqual([]);
        expect(results.length).toBeGreaterThan(0);
      }
      const suspicious = transport.targetOf(server.url, GENEROUS);
      const [careful] = await run(suspicious, selectCases(wireClasses, suspicious, ["1.1.1"]));
      expect(careful).toMatchObject({ outcome: "failed", reasons: [expect.stringMatching(/self-signed certificate/)] });
    } finally {
      await server.stop();
    }
  });
});
