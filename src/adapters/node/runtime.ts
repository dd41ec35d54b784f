/** Which runtime's `node:` modules these are. */

const { bun, deno } = process.versions;

export const isBun = bun !== undefined;

export const isNode = bun === undefined && deno === undefined;
