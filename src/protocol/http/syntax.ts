/** The HTTP syntax that the opening handshake uses (RFC 9110 §5). Every function takes linear time. */

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** RFC 9110 §5.6.2: `token = 1*tchar`. */
export const isToken = (value: string): boolean => TOKEN.test(value);

/** RFC 9110 §5.5: visible characters, spaces and tabs, but not CR, LF or NUL. */
export const isFieldValue = (value: string): boolean => {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if ((code < 0x20 && code !== 0x09) || code === 0x7f || code > 0xff) return false;
  }
  return true;
};

/** RFC 9110 §5.6.3: only spaces and tabs are white space, unlike in `String.trim`. */
const trim = (value: string): string => {
  let start = 0;
  let end = value.length;
  const isSpace = (at: number): boolean => value[at] === " " || value[at] === "\t";
  while (start < end && isSpace(start)) start++;
  while (end > start && isSpace(end - 1)) end--;
  return value.slice(start, end);
};

/** RFC 9110 §5.6.1: the elements of a comma-separated list without quoted strings. Empty elements are ignored. */
export const listOf = (value: string | undefined): string[] =>
  value === undefined
    ? []
    : value
        .split(",")
        .map(trim)
        .filter((element) => element !== "");

/**
 * Whether a list contains `token` (in lower case), ignoring case, as in `Connection` and `Upgrade` (RFC 6455 §4.2.1).
 */
export const listHas = (value: string | undefined, token: string): boolean =>
  value !== undefined &&
  // Nearly always, it is the only element.
  (value.toLowerCase() === token || listOf(value).some((element) => element.toLowerCase() === token));
