import { test } from "vitest";
import { casesFor, ScriptedHandler, setPubSub } from "../../packages/websock-conformance/src/handlers/index.ts";
import { testPubSub } from "../../src/testing/test-pubsub.ts";
import { memoryHost } from "../support/memory-host.ts";

setPubSub(testPubSub());

const host = memoryHost(ScriptedHandler);
for (const { name, run } of casesFor(host)) test(name, () => run(host));
