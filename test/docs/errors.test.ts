/** Every error has a code, and every code has a section in docs/errors.md. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { codedError, codedRangeError, codedTypeError } from "../../src/error-codes.ts";

const src = fileURLToPath(new URL("../../src/", import.meta.url));
const read = (file: string): string => readFileSync(src + file, "utf8");
const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));

/** The file that lists the codes, and creates errors with them. */
const CODES = "error-codes.ts";
/** Errors from another thread, which have the code that they had there. */
const UNPACKED = "isolate/packed-error.ts";
/** Assertions of a suite of tests: what fails is the tested backplane. */
const ASSERTIONS = "testing/backplane-cases.ts";

const codes = [...read(CODES).matchAll(/\| "(WEBSOCK_\w+)"/g)].map(([, code]) => code!);
const docs = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
const sections = docs.split(/^### /m).slice(1);

test("every code has a section, and every section a code", () => {
  expect(codes.length).toBeGreaterThan(30);
  expect(sections.map((section) => section.split("\n")[0]).sort()).toEqual([...codes].sort());
});

test.each(sections.map((section) => [section.split("\n")[0]!, section]))(
  "%s has a cause and a cure",
  (_code, section) => {
    expect(section).toMatch(/^\w+\n\n[`\w][\s\S]*\n\n\*\*Cause\.\*\* [\s\S]*\n\n\*\*Cure\.\*\* \S/);
  },
);

test("every code is used, and no other is", () => {
  const used = files.filter((file) => file !== CODES).flatMap((file) => read(file).match(/\bWEBSOCK_\w+/g) ?? []);
  expect([...new Set(used)].sort()).toEqual([...codes].sort());
});

test("every error that is created has a code", () => {
  const without = files
    .filter((file) => file !== CODES && file !== ASSERTIONS && file !== UNPACKED)
    .filter((file) => /\bnew (?:Type|Range)?Error\(/.test(read(file)));
  expect(without).toEqual([]);
});

test("every error class has a code, and is named in its section", () => {
  const classes = files.flatMap((file) =>
    [...read(file).matchAll(/^export class (\w+) extends (?:Type|Range)?Error \{([\s\S]*?)^\}/gm)].map(
      ([, name, body]) => [name!, /readonly code = "(\w+)"/.exec(body!)?.[1]] as const,
    ),
  );
  expect(classes.map(([name]) => name)).toEqual(expect.arrayContaining(["SlowConsumer", "UpgradeError"]));
  for (const [name, code] of classes) {
    const section = sections.find((section) => section.startsWith(`${code}\n`));
    // MalformedError is not public.
    if (name !== "MalformedError") expect(section, name).toContain(`\`${name}\``);
    else expect(section).toBeDefined();
  }
});

test.each([
  [codedError, Error],
  [codedTypeError, TypeError],
  [codedRangeError, RangeError],
])("%o", (create, Class) => {
  const cause = new Error("expected");
  const error = create("WEBSOCK_INVALID_OPTION", "m", { cause });
  expect(error).toBeInstanceOf(Class);
  expect(error).toMatchObject({ message: "m (WEBSOCK_INVALID_OPTION)", code: "WEBSOCK_INVALID_OPTION", cause });
});
