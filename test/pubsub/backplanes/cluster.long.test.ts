/** What takes long with the workers of node:cluster. */
import { expect, test } from "vitest";
import { runScript } from "../../support/script.ts";

test("a primary process that does not answer within 10 seconds causes a warning", async () => {
  const result = await runScript(`
    import cluster from "node:cluster";
    import { clusterBackplane } from "websock-js/pubsub/cluster";
    if (cluster.isPrimary) {
      cluster.fork();
    } else {
      const link = {
        node: "1",
        receive: () => {},
        up: () => console.log("up"),
        away: () => console.log("away"),
        warn: (message) => {
          console.log(message);
          void connection.close().then(() => process.disconnect());
        },
      };
      const connection = clusterBackplane().connect(link);
    }
  `);
  const stdout = "the primary process does not answer: it has to call setupPrimary()\n";
  expect(result).toEqual({ code: 0, stdout, stderr: "" });
});
