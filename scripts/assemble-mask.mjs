/**
 * Assembles `mask.wat` and writes the WebAssembly module to `mask-module.ts`, as Base64: so the package has no file that
 * must be read when it is loaded, and runs without the assembler.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import loadWabt from "wabt";

const FOLDER = new URL("../src/adapters/node/receive-buffer/", import.meta.url);
export const MODULE_FILE = fileURLToPath(new URL("mask-module.ts", FOLDER));

/** The contents of `mask-module.ts`. */
export const assembleMask = async () => {
  const { parseWat } = await loadWabt();
  const module = parseWat("mask.wat", readFileSync(new URL("mask.wat", FOLDER), "utf8"), { simd: true });
  module.validate();
  const lines =
    Buffer.from(module.toBinary({}).buffer)
      .toString("base64")
      .match(/.{1,100}/g) ?? [];
  return `/** \`mask.wat\`, assembled by \`scripts/assemble-mask.mjs\`: a WebAssembly module in Base64. Do not edit. */
export const MASK_MODULE =
${lines.map((line) => `  "${line}"`).join(" +\n")};
`;
};

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(MODULE_FILE, await assembleMask());
