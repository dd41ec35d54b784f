/** What an editor shows on hover is what users copy: the examples do what they say, and leave nothing behind. */
import { readFileSync } from "node:fs";
import { expect, onTestFinished, test, vi } from "vitest";
import { handler, ok, push, text } from "websock-js";
import { connect } from "websock-js/testing";
import * as Echo from "../types/fixtures/echo.ts";

/** The first example of a file's docstring for `name`, without what the comment adds. */
const exampleOf = (file: string, name: string): string => {
  const source = readFileSync(new URL(`../../src/${file}`, import.meta.url), "utf8");
  const [comment] = source
    .slice(0, source.indexOf(`export const ${name} =`))
    .match(/\/\*\*(?:(?!\*\/)[\s\S])*\*\/\s*$/)!;
  return words(/```ts\n([\s\S]*?)```/.exec(comment.replaceAll(/^ \* ?/gm, ""))![1]!);
};

const words = (code: string): string =>
  code
    .replaceAll(/\/\/.*/g, "")
    .replaceAll(/\s+/g, " ")
    .trim();

/** What the tests below really run. */
const own = words(readFileSync(new URL(import.meta.url), "utf8"));

test("handler: its interval ends with the connection", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  onTestFinished(() => void vi.useRealTimers());
  const Clock = handler<"tick">()({
    init: (_: void, self) => {
      const timer = setInterval(() => self.send("tick"), 1000);
      self.signal.addEventListener("abort", () => clearInterval(timer));
      return ok(0);
    },
    handleIn: (_message, ticks) => ok(ticks),
    handleInfo: (_tick, ticks) => push(text(String(ticks)), ticks + 1),
  });
  expect(own).toContain(exampleOf("websock.ts", "handler"));
  const client = await connect(Clock);
  for (const count of ["0", "1"]) {
    vi.advanceTimersByTime(1000);
    client.advance(0);
    expect(await client.receive()).toEqual({ opcode: "text", data: count });
  }
  expect(vi.getTimerCount()).toBe(1);
  client.drop();
  await client.ended;
  expect(vi.getTimerCount()).toBe(0);
});

test("connect: the first message is what init pushes", async () => {
  const client = await connect(Echo, "hello");
  client.send("hi");
  expect(await client.receive()).toEqual({ opcode: "text", data: "hello" });
  expect(await client.receive()).toEqual({ opcode: "text", data: "hi" });
  expect(own).toContain(exampleOf("testing/connect.ts", "connect"));
});
