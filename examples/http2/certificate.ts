/** The certificate that `KEY` and `CERT` name; without, one that a browser warns of. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const selfSigned = (): readonly [key: string, cert: string] => {
  const folder = mkdtempSync(join(tmpdir(), "websock-example-"));
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 9 -subj /CN=localhost";
  execFileSync("openssl", [...words.split(" "), "-keyout", key, "-out", cert], { stdio: "ignore" });
  return [key, cert];
};

const { KEY, CERT } = process.env;
const [key, cert] = KEY === undefined || CERT === undefined ? selfSigned() : [KEY, CERT];

export const certificate = { key: readFileSync(key), cert: readFileSync(cert) };
