/** Checks the names of options, and describes values in error messages. */
import { codedTypeError } from "./error-codes.ts";

/**
 * Refuses misspelt options, which would otherwise have no effect.
 *
 * @throws TypeError for a key of `options` that is not in `names`
 */
export const checkKeys = (options: object, names: readonly string[], prefix = ""): void => {
  const unknown = Object.keys(options).find((name) => !names.includes(name));
  if (unknown === undefined) return;
  throw codedTypeError(
    "WEBSOCK_INVALID_OPTION",
    `unknown option "${prefix}${unknown}"; valid options are ${names.join(", ")}`,
  );
};

const MAX_SHOWN = 60;

/** Describes a value for an error message: short, on one line, and without the contents of objects. */
export const show = (value: unknown): string => {
  if (typeof value === "string") {
    return JSON.stringify(value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}…` : value);
  }
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return value.name === "" ? "a function" : `the function ${value.name}`;
  if (Array.isArray(value)) return "an array";
  if (typeof value !== "object" || value === null) return String(value);
  const { constructor: Class } = value;
  if (typeof Class !== "function" || Class === Object || Class.name === "") return "an object";
  return `${/^[aeio]/i.test(Class.name) ? "an" : "a"} ${Class.name}`;
};
