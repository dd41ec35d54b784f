/** The options of the command line: `npm run demo -- --nodes 2 --engine redis`. */
import { parseArgs } from "node:util";

/** What carries messages between nodes. `cluster`: the primary process of `node:cluster`. */
const ENGINES = ["cluster", "redis", "nats"] as const;
export type Engine = (typeof ENGINES)[number];

const MAX_NODES = 16;

const fail = (message: string): never => {
  console.error(message);
  process.exit(1);
};

const read = (): { readonly nodes?: string; readonly engine?: string } => {
  try {
    return parseArgs({ options: { nodes: { type: "string" }, engine: { type: "string" } } }).values;
  } catch (error) {
    return fail((error as Error).message);
  }
};

const values = read();

export const nodes = Number(values.nodes ?? 1);
if (!Number.isInteger(nodes) || nodes < 1 || nodes > MAX_NODES) {
  fail(`--nodes must be a number from 1 to ${MAX_NODES}, not ${values.nodes}`);
}

export const engine: Engine =
  ENGINES.find((name) => name === (values.engine ?? "cluster")) ??
  fail(`--engine must be one of ${ENGINES.join(", ")}, not ${values.engine}`);
if (values.engine !== undefined && nodes === 1) fail("--engine needs several nodes: --nodes 2");
