/** The program of `npm run demo`: one server or, with `--nodes 2`, several, which are workers of `node:cluster`. */
import cluster from "node:cluster";
import { nodes } from "./options.ts";

if (nodes > 1 && cluster.isPrimary) await import("./primary.ts");
else await import("./server.ts");
