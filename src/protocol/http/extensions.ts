/** `Sec-WebSocket-Extensions` (RFC 6455 §9.1), read in one pass: time is linear whatever it says. */

/** One offer of the header: an extension and its parameters, in their order, duplicates included. */
export interface ExtensionOffer {
  readonly name: string;
  readonly parameters: readonly (readonly [name: string, value: string | undefined])[];
}

const TCHAR = /[!#$%&'*+\-.^_`|~0-9A-Za-z]/;

/** Reads the header's grammar, one character after the other. */
class Reader {
  private readonly text: string;
  private at = 0;

  constructor(text: string) {
    this.text = text;
  }

  get atEnd(): boolean {
    return this.at >= this.text.length;
  }

  /** Takes `char` with the white space around it, if it comes next. */
  consume(char: string): boolean {
    this.skipSpace();
    if (this.text[this.at] !== char) return false;
    this.at++;
    this.skipSpace();
    return true;
  }

  token(): string | undefined {
    this.skipSpace();
    const start = this.at;
    while (this.at < this.text.length && TCHAR.test(this.text[this.at]!)) this.at++;
    const token = this.text.slice(start, this.at);
    this.skipSpace();
    return token === "" ? undefined : token;
  }

  /** A token, or a quoted string whose content, unescaped, is one. */
  value(): string | undefined {
    if (this.text[this.at] !== '"') return this.token();
    let value = "";
    for (this.at++; this.text[this.at] !== '"'; this.at++) {
      if (this.text[this.at] === "\\") this.at++;
      const char = this.text[this.at];
      if (char === undefined || !TCHAR.test(char)) return undefined;
      value += char;
    }
    this.at++;
    this.skipSpace();
    return value === "" ? undefined : value;
  }

  private skipSpace(): void {
    while (this.text[this.at] === " " || this.text[this.at] === "\t") this.at++;
  }
}

/** The offers in the client's order of preference; `undefined` if the header is malformed. */
export const parseExtensions = (header: string | undefined): ExtensionOffer[] | undefined => {
  const offers: ExtensionOffer[] = [];
  const reader = new Reader(header ?? "");
  do {
    // RFC 9110 §5.6.1: a recipient reads over empty elements of a list.
    while (reader.consume(","));
    if (reader.atEnd) break;
    const name = reader.token();
    if (name === undefined) return undefined;
    const parameters: [string, string | undefined][] = [];
    while (reader.consume(";")) {
      const parameter = reader.token();
      if (parameter === undefined) return undefined;
      const hasValue = reader.consume("=");
      const value = hasValue ? reader.value() : undefined;
      if (hasValue && value === undefined) return undefined;
      parameters.push([parameter, value]);
    }
    offers.push({ name, parameters });
  } while (reader.consume(","));
  return reader.atEnd ? offers : undefined;
};
