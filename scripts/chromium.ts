/** The Chromium that browser tests drive: `CHROMIUM_PATH`, or where Debian's package puts it. */
import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";
import { isUsable } from "./installed.ts";

const path = process.env.CHROMIUM_PATH ?? "/usr/bin/chromium";

/**
 * Whether there is a Chromium to test with. If there is none, the tests that need it are skipped with a message, except
 * in CI, where nobody would notice.
 *
 * @throws Error in CI, if there is none
 */
export const haveChromium = (): boolean =>
  isUsable(existsSync(path), `there is no Chromium at ${path}: apt-get install chromium, or set CHROMIUM_PATH`);

/** Starts a browser with a profile of its own, and without background connections. */
export const launchChromium = (): Promise<Browser> =>
  chromium.launch({
    executablePath: path,
    args: [
      "--no-sandbox", // containers run as root
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
