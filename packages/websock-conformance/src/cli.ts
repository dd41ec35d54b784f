#!/usr/bin/env node
/** `websock-conformance`: runs the wire suite against a server. */
import { parseArgs } from "node:util";
import { wireClasses } from "./cases/index.ts";
import { http1Target } from "./http1.ts";
import { http2Target } from "./http2.ts";
import { runCases, selectCases } from "./run.ts";
import { countOutcomes, resultLine, summary } from "./table.ts";

const HELP = `usage: websock-conformance [options] <url>

  ws://host:port/path      over HTTP/1.1; wss: with TLS
  http://host:port/path    over HTTP/2 (RFC 8441), without an upgrade; https: with TLS

Checks the WebSocket protocol (RFC 6455, RFC 7692) of a server that sends back every message it receives (an echo server).
To pass every case, the server must accept messages of 16 MiB.

  --only <id>          run only these cases: "6.4.2", "6.*"; may be given several times
  --json               print the results as JSON, to the standard output
  --quiet              print only the cases that are not ok, and the summary
  --timeout <ms>       fail a case after this long without any progress (10000)
  --patience <ms>      how long to wait for an answer that should come immediately, but may come later (2000)
  --concurrency <n>    how many cases run in parallel (8)
  --insecure           accept any certificate (wss:, https:)
  --list               print the cases for the URL (without one: for HTTP/1.1), and run none
  --help               print this text

Exit codes: 0 if no case failed, 1 if at least one failed, 2 for wrong usage. Outcomes:

  ok              the server does what the RFC says
  informational   the RFC leaves it open; the reason says what the server does
  non-strict      the server violates a SHOULD, or detects an error later than it could
  unimplemented   the server lacks the feature
  failed          the server violates a MUST, or does not send the message back
`;

class UsageError extends Error {}

const positive = (name: string, value: string): number => {
  const number = Number(value);
  if (!Number.isInteger(number) || number <= 0) throw new UsageError(`--${name} must be a positive integer`);
  return number;
};

const parse = (args: readonly string[]) => {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        only: { type: "string", multiple: true, default: ["*"] },
        json: { type: "boolean", default: false },
        quiet: { type: "boolean", default: false },
        timeout: { type: "string", default: "10000" },
        patience: { type: "string", default: "2000" },
        concurrency: { type: "string", default: "8" },
        insecure: { type: "boolean", default: false },
        list: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
};

const targetOf = (url: string, insecure: boolean, timeout: number) => {
  try {
    return (/^https?:/i.test(url) ? http2Target : http1Target)(url, { insecure, timeout });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
};

/** @returns the exit code */
const main = async (args: readonly string[]): Promise<number> => {
  const { values, positionals } = parse(args);
  const print = (text: string): void => void process.stdout.write(`${text}\n`);
  if (values.help) {
    print(HELP.trimEnd());
    return 0;
  }
  const timeout = positive("timeout", values.timeout);
  const [url, ...others] = values.list && positionals.length === 0 ? ["ws://list"] : positionals;
  if (url === undefined || others.length > 0) throw new UsageError("expected exactly one URL");
  const target = targetOf(url, values.insecure, timeout);
  const cases = selectCases(wireClasses, target, values.only);
  if (cases.length === 0) throw new UsageError(`no case matches ${values.only.join(" or ")}`);
  if (values.list) {
    for (const { id, className, title } of cases) print(`${id.padEnd(9)}${className}: ${title}`);
    return 0;
  }
  const results = await runCases(cases, target, {
    timeout,
    patience: positive("patience", values.patience),
    concurrency: positive("concurrency", values.concurrency),
    ...(values.json
      ? {}
      : { onResult: (result) => (values.quiet && result.outcome === "ok" ? undefined : print(resultLine(result))) }),
  });
  print(values.json ? JSON.stringify({ url, results }, null, 2) : `\n${summary(results)}`);
  return countOutcomes(results).failed > 0 ? 1 : 0;
};

// The reader of a pipe may close it early, as `head` does.
process.stdout.on("error", () => process.exit());

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`websock-conformance: ${error.message}\nTry --help.\n`);
  process.exitCode = 2;
}
