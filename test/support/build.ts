import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** Before all tests: some of them run the packages in processes of its own, as users do, and need it built. */
export default function build(): void {
  const tsc = fileURLToPath(new URL("../../node_modules/typescript/bin/tsc", import.meta.url));
  for (const project of ["tsconfig.build.json", "packages/websock-conformance/tsconfig.build.json"]) {
    execFileSync(process.execPath, [tsc, "-p", project], { stdio: "inherit" });
  }
}
