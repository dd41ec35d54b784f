import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** Builds the packages before all tests: some tests run the built packages in other processes, as users do. */
export default function build(): void {
  execFileSync(process.execPath, [fileURLToPath(new URL("../../scripts/build.mjs", import.meta.url))], {
    stdio: "inherit",
  });
}
