import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** Runs before all tests: some of them run the packages in processes of their own, as users do, and need them built. */
export default function build(): void {
  execFileSync(process.execPath, [fileURLToPath(new URL("../../scripts/build.mjs", import.meta.url))], {
    stdio: "inherit",
  });
}
