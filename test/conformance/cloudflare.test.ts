import { describe } from "vitest";
import { compressionOffer, connectRaw } from "../support/raw-conformance-client.ts";
import { conformRemotely } from "../support/remote-conformance.ts";
import { startWorkerd } from "../support/workerd.ts";

const program = "test/hosts/workerd.mjs";

describe.each(["worker", "object"])("in a %s", async (mode) => {
  await conformRemotely({
    runtime: "workerd",
    program,
    start: () => startWorkerd(program, mode),
    connect: (port, path, offersCompression) => connectRaw(port, path, compressionOffer(offersCompression)),
  });
});
