/** The pieces of HTTP's grammar that a WebSocket handshake is made of (RFC 9110 §5). Every function is linear in time. */

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** RFC 9110 §5.6.2: `token = 1*tchar`. */
export const isToken = (value: string): boolean => TOKEN.test(value);

/** RFC 9110 §5.5: visible characters, spaces and tabs; never CR, LF or NUL. */
export const isFieldValue = (value: string): boolean => {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if ((code < 0x20 && code !== 0x09) || code === 0x7f || code > 0xff) return false;
  }
  return true;
};

/** RFC 9110 §5.6.3: white space is spaces and tabs, and nothing else that Unicode calls so. */
const trim = (value: string): string => {
  let start = 0;
  let end = value.length;
  const isSpace = (at: number): boolean => value[at] === " " || value[at] === "\t";
  while (start < end && isSpace(start)) start++;
  while (end > start && isSpace(end - 1)) end--;
  return value.slice(start, end);
};

/** RFC 9110 §5.6.1: a comma-separated list; empty elements are skipped. For lists without quoted strings. */
export const listOf = (value: string | undefined): string[] =>
  value === undefined
    ? []
    : value
        .split(",")
        .map(trim)
        .filter((element) => element !== "");

/** Whether a list has `token`, letter case aside: how `Connection` and `Upgrade` are read (RFC 6455 §4.2.1). */
export const listHas = (value: string | undefined, token: string): boolean =>
  listOf(value).some((element) => element.toLowerCase() === token);
