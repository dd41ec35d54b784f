/** An asynchronous schema of what is sent: refused when the handler is made, as far as that is possible. */
import { type } from "arktype";
import * as v from "valibot";
import { expect, test } from "vitest";
import { connect } from "websock-js/testing";
import { encoder, ok, push, type StandardSchema, typed } from "websock-js/typed";
import { z } from "zod";
import * as mini from "zod/mini";
import { anything, waiting } from "./schemas.ts";

const later = async (): Promise<boolean> => true;

interface Tree {
  children: Tree[];
}
const Tree: z.ZodType<Tree> = z.object({ children: z.lazy(() => z.array(Tree)) });

test.each<[string, StandardSchema]>([
  ["a schema of one's own", waiting(() => Promise.resolve())],
  ["one that rejects", waiting(() => Promise.reject(new Error("expected")))],
  ["valibot: objectAsync", v.objectAsync({ n: v.number() })],
  ["valibot: pipeAsync", v.pipeAsync(v.string(), v.checkAsync(later))],
  ["zod: refine", z.string().refine(later)],
  ["zod: a check within an object", z.object({ list: z.array(z.object({ n: z.number().refine(later) })) })],
  ["zod: transform", z.string().transform(async (text) => text.length)],
  ["zod: a promise", z.object({ n: z.promise(z.number()) })],
  ["zod: one of a union", z.union([z.string(), z.number().refine(later)])],
  ["zod: lazy", z.object({ n: z.lazy(() => z.number().refine(later)) })],
  ["zod: preprocess", z.preprocess(later, z.string())],
  ["zod: check", z.string().check(async () => undefined)],
  ["zod: codec", z.codec(z.string(), z.number(), { decode: async (text) => text.length, encode: String })],
  ["zod mini: refine", mini.object({ n: mini.number().check(mini.refine(later)) })],
])("%s is refused when the handler is made", (_what, out) => {
  const make = () => typed({ in: anything, out }, { init: () => ok(0), handleIn: (_message, n) => ok(n) });
  expect(make).toThrow(TypeError);
  expect(make).toThrow(/the schema "out" validates asynchronously/);
  expect(() => encoder(out)).toThrow(/the schema "out" validates asynchronously/);
});

test.each<[string, StandardSchema]>([
  [
    "valibot",
    v.object({
      n: v.pipe(
        v.number(),
        v.check(() => true),
      ),
    }),
  ],
  ["zod", z.object({ n: z.number().refine(() => true), when: z.date().optional(), re: z.string().regex(/a/) })],
  ["zod: a schema that contains itself", Tree],
  ["zod: a transform that takes no undefined", z.any().transform((value) => value.length.toString())],
  ["zod mini", mini.object({ n: mini.number().check(mini.refine(() => true)) })],
  ["arktype", type({ n: "number" }).narrow(() => true)],
])("%s: a synchronous schema is accepted", (_what, out) => {
  expect(() => encoder(out)).not.toThrow();
});

test.each<[string, StandardSchema<string>]>([
  ["a function that is not async, but returns a promise", z.string().refine(() => Promise.resolve(true))],
  ["superRefine", z.string().superRefine(async () => undefined)],
])("%s: what could not be known is refused at the first message", async (_what, out) => {
  const Late = typed({ in: anything, out }, { init: () => push("hello", 0), handleIn: (_message, n) => ok(n) });
  const client = await connect(Late);
  expect((await client.ended).code).toBe(1011);
  expect(client.received).toEqual([]);
  expect(String(client.errors[0])).toMatch(/the schema "out" validates asynchronously/);
  expect(() => encoder(out)("hello")).toThrow(/the schema "out" validates asynchronously/);
});

test("the rejection of a check that nobody awaits does not end the process", async () => {
  const rejections: unknown[] = [];
  const listener = (error: unknown): void => void rejections.push(error);
  process.on("unhandledRejection", listener);
  const rejecting = (value: unknown) => (value === undefined ? { value } : Promise.reject(new Error("expected")));
  const encode = encoder({ "~standard": { version: 1, vendor: "test", validate: rejecting } });
  expect(() => encode("hello")).toThrow(TypeError);
  await new Promise((resolve) => setImmediate(resolve));
  process.off("unhandledRejection", listener);
  expect(rejections).toEqual([]);
});

test("schemas of zod that are defined later, or compute a part, are not an obstacle", () => {
  const callbacks = { init: () => ok(0), handleIn: (_message: unknown, n: number) => ok(n) };
  const withLater = z.object({ child: z.lazy(() => Later) });
  typed({ in: z.unknown(), out: withLater }, callbacks);
  const Later = z.string();
  const tree = (): z.ZodType => z.object({ left: z.lazy(tree), right: z.lazy(tree) });
  typed({ in: z.unknown(), out: tree() }, callbacks);
  let ids = 0;
  typed({ in: z.unknown(), out: z.object({ id: z.number().default(() => ++ids) }) }, callbacks);
  expect(ids).toBe(0);
});
