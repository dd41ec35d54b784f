/** The API reference of the package, as TypeDoc makes it of the sources. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const folderOfTool = fileURLToPath(new URL("../../packages/reference", import.meta.url));

/** What is needed here of TypeDoc's JSON: https://typedoc.org/api/modules/JSONOutput.html */
interface Part {
  readonly text: string;
}
export interface Comment {
  readonly summary: readonly Part[];
  readonly blockTags?: readonly { readonly tag: string; readonly name?: string; readonly content: readonly Part[] }[];
}
export interface Reflection {
  readonly name: string;
  readonly kind: number;
  readonly comment?: Comment;
  readonly flags: { readonly isOptional?: boolean; readonly isExternal?: boolean };
  readonly children?: readonly Reflection[];
  readonly signatures?: readonly Reflection[];
  readonly parameters?: readonly Reflection[];
  readonly getSignature?: Reflection;
  readonly type?: { readonly declaration?: Reflection };
  readonly inheritedFrom?: object;
  readonly overwrites?: object;
}

/** TypeDoc's `ReflectionKind`. */
export const KIND = { function: 64, constructor: 512, property: 1024, reference: 4_194_304 };

/** The first part of a docstring, before its tags. */
export const summaryOf = (comment: Comment | undefined): string =>
  comment?.summary.map(({ text }) => text).join("") ?? "";

/** A docstring with its tags. */
export const textOf = (comment: Comment | undefined): string =>
  [
    summaryOf(comment),
    ...(comment?.blockTags ?? []).flatMap(({ tag, name = "", content }) => [
      tag,
      name,
      ...content.map(({ text }) => text),
    ]),
  ].join(" ");

/** The entries of the package with all that they export. */
export const reference = async (): Promise<readonly Reflection[]> => {
  const folder = mkdtempSync(join(tmpdir(), "websock-reference-"));
  const file = join(folder, "reference.json");
  const args = ["node_modules/typedoc/bin/typedoc", "--json", file, "--out", folder, "--logLevel", "Error"];
  await promisify(execFile)(process.execPath, args, { cwd: folderOfTool });
  const { children } = JSON.parse(readFileSync(file, "utf8"));
  rmSync(folder, { recursive: true });
  return children;
};
