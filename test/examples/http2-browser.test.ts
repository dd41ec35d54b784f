/**
 * A browser whose page was loaded over HTTP/2 opens its WebSocket on the same connection. The test checks both sides.
 */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { haveChromium, launchChromium } from "../../scripts/chromium.ts";
import { servePage } from "../support/http2-page.ts";

describe.skipIf(!haveChromium())("Chromium", () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser?.close());

  const open = async (url: string): Promise<Page> => {
    const page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
    await page.goto(url);
    return page;
  };

  interface Told {
    protocol: string;
    extensions: string;
    messages: string[];
    code: number;
    reason: string;
    wasClean: boolean;
  }

  /** Runs in the page: sends the messages, each after the answer to the previous one, and then closes or is closed. */
  const talk = (page: Page, says: string[], close: number | undefined): Promise<Told> =>
    page.evaluate(
      async ([says, close]) => {
        const socket = new WebSocket(`wss://${location.host}/socket`, ["other", "chat"]);
        const told = { protocol: "", extensions: "", messages: [] as string[] };
        const closed = new Promise<CloseEvent>((resolve) => {
          socket.onclose = resolve;
        });
        const next = (): void => {
          const message = says.shift();
          if (message !== undefined) socket.send(message);
          else if (close !== undefined) socket.close(close, "from the page");
        };
        socket.onopen = () => {
          told.protocol = socket.protocol;
          told.extensions = socket.extensions;
          next();
        };
        socket.onmessage = ({ data }) => {
          told.messages.push(data);
          next();
        };
        const { code, reason, wasClean } = await closed;
        return { ...told, code, reason, wasClean };
      },
      [says, close] as [string[], number | undefined],
    ) as Promise<Told>;

  test("extended CONNECT on the page's session, with compression, a subprotocol, and close codes in both directions", async () => {
    const { port, opened, sessions, errors, sockets } = await servePage();
    const page = await open(`https://localhost:${port}/`);
    const large = "x".repeat(300_000);

    const byPage = await talk(page, ["how?", large], 4002);
    expect(byPage).toEqual({
      protocol: "chat",
      extensions: expect.stringMatching(/^permessage-deflate/),
      messages: ["HTTP/2.0 CONNECT", large],
      code: 4002,
      reason: "",
      wasClean: true,
    });
    const byServer = await talk(page, ["hello", "close me"], undefined);
    expect(byServer).toEqual({
      protocol: "chat",
      extensions: expect.stringMatching(/^permessage-deflate/),
      messages: ["hello"],
      code: 4002,
      reason: "as you wish",
      wasClean: true,
    });

    // A browser may open connections that it does not need. Both WebSockets use the one over which the page was loaded.
    expect(opened).toHaveLength(2);
    expect(new Set(opened.map(({ session }) => session))).toEqual(new Set([sessions[0]]));
    for (const { stream, rawHeaders, connection } of opened) {
      expect(stream).toBeGreaterThan(1);
      const raw = Object.fromEntries(rawHeaders.flatMap((name, i) => (i % 2 ? [] : [[name, rawHeaders[i + 1]]])));
      expect(raw).toMatchObject({
        ":method": "CONNECT",
        ":protocol": "websocket",
        ":scheme": "https",
        origin: `https://localhost:${port}`,
        "sec-websocket-protocol": "other, chat",
      });
      expect(connection).toMatchObject({
        httpVersion: "2.0",
        method: "CONNECT",
        subprotocol: "chat",
        compression: expect.stringMatching(/^permessage-deflate/),
      });
    }
    expect(opened[0]!.connection).toMatchObject({ closeCode: 4002, closeText: "from the page" });
    // The large message was compressed in both directions.
    for (const bytes of [opened[0]!.received, opened[0]!.sent]) {
      expect(bytes).toBeGreaterThan(0);
      expect(bytes).toBeLessThan(large.length / 100);
    }
    expect(errors).toEqual([]);
    while (sockets.connections > 0) await new Promise((resolve) => setTimeout(resolve));
  });

  test("a page of another origin is refused", async () => {
    const { port, opened } = await servePage();
    const page = await open(`https://localhost:${port}/`);
    const told = await page.evaluate(
      (url) =>
        new Promise<string>((resolve) => {
          const socket = new WebSocket(url);
          socket.onopen = () => resolve("open");
          socket.onerror = () => resolve("refused");
        }),
      `wss://127.0.0.1:${port}/socket`,
    );
    expect(told).toBe("refused");
    expect(opened.map(({ connection }) => connection)).toEqual([undefined]);
  });
});
