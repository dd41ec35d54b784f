/**
 * The conformance suite with a typed handler around the scripted one, whose messages are any strings. Cases with other
 * messages are skipped.
 */
import { expect, test } from "vitest";
import type { CloseDetail, HandleResult, Messages, OutMessage, Self, StopDetail } from "websock-js";
import {
  type MessageCodec,
  ok,
  pushAll,
  type StandardSchema,
  stop,
  type TypedResult,
  type TypedSelf,
  typed,
} from "websock-js/typed";
import {
  casesFor,
  type Scripted,
  ScriptedHandler,
  setPubSub,
} from "../../packages/websock-conformance/src/handlers/index.ts";
import { testPubSub } from "../../src/testing/test-pubsub.ts";
import { memoryHost } from "../support/memory-host.ts";
import { deferred } from "../support/promises.ts";

const strings: StandardSchema<string> = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: (value) => (typeof value === "string" ? { value } : { issues: [{ message: "expected a string" }] }),
  },
};
const asIs: MessageCodec = { opcode: "text", encode: String, decode: (data) => data };

type State = ReturnType<typeof ScriptedHandler.init> extends HandleResult<infer S> ? S : never;

/** Resolved when the case that runs uses a message that is no string. */
let unsuitable = deferred();

const textOf = ({ opcode, data }: OutMessage): string => {
  if (opcode === "text" && typeof data === "string") return data;
  unsuitable.resolve();
  throw new Error("not a text");
};
const textsOf = (messages: Messages): string[] => [messages].flat().map((message) => textOf(message as OutMessage));

const toTyped = (result: HandleResult<State>): TypedResult<string, State> => {
  if (Array.isArray(result)) {
    const state = result.at(-1) as State;
    if (result[0] === "ok" && result.length === 2) return ok(state);
    if (result[0] === "push" && result.length === 3) return pushAll(textsOf(result[1]), state);
    if (result[0] === "reply" && result.length === 4) return pushAll(textsOf(result[2]), state);
    if (result[0] === "stop" && result.length === 3) return stop(result[1], state);
    if (result[0] === "stop" && result.length > 3) {
      const [code, text = null] = [result[2] as CloseDetail].flat() as [number, (string | null)?];
      const messages = result.length === 5 ? { messages: textsOf(result[3]) } : {};
      return stop(result[1], state, { code, text, ...messages });
    }
  }
  return result as unknown as TypedResult<string, State>;
};

const awaited = (result: HandleResult<State> | PromiseLike<HandleResult<State>>) =>
  "then" in Object(result)
    ? (result as PromiseLike<HandleResult<State>>).then(toTyped)
    : toTyped(result as HandleResult<State>);

/** The ordinary `self` that the scripted handler expects. */
const toSelf = (self: TypedSelf<string, unknown>): Self<unknown> =>
  Object.create(self, {
    push: {
      value: (messages: Messages) =>
        textsOf(messages)
          .map((text) => self.push(text))
          .every(Boolean),
    },
    stop: {
      value: (reason: unknown, { messages, ...detail }: StopDetail = {}) =>
        self.stop(reason, { ...detail, ...(messages && { messages: textsOf(messages) }) }),
    },
  });

const Typed = typed<unknown>()(
  { in: strings, out: strings, codec: asIs },
  {
    init: (scripted: Scripted, self) => awaited(ScriptedHandler.init(scripted, toSelf(self))),
    handleIn: (data, state, self) => awaited(ScriptedHandler.handleIn({ opcode: "text", data }, state, toSelf(self))),
    handleControl: (message, state, self) => awaited(ScriptedHandler.handleControl(message, state, toSelf(self))),
    handleInfo: (info, state, self) => awaited(ScriptedHandler.handleInfo(info, state, toSelf(self))),
    terminate: (reason, state, self) => ScriptedHandler.terminate(reason, state, toSelf(self)),
    onInvalid: () => {
      unsuitable.resolve();
      throw new Error("not a text");
    },
  },
);

setPubSub(testPubSub());
const host = memoryHost(Typed);
let passed = 0;

for (const { name, run } of casesFor(host))
  test(name, async ({ skip }) => {
    unsuitable = deferred();
    const outcome = await Promise.race([
      unsuitable.promise.then(() => "unsuitable" as const),
      run(host).then(
        () => "passed" as const,
        (error: unknown) => ({ error }),
      ),
    ]);
    if (outcome === "unsuitable") skip("a message that is no string");
    if (typeof outcome === "object") throw outcome.error;
    passed++;
  });

test("most cases have run", () => {
  expect(passed).toBeGreaterThan(0.6 * casesFor(host).length);
});
