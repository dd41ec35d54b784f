/** A parser for `Sec-WebSocket-Extensions` (RFC 6455 §9.1). It takes linear time for any input. */

/** An offered extension and its parameters, in order, duplicates included. */
export interface ExtensionOffer {
  readonly name: string;
  readonly parameters: readonly (readonly [name: string, value: string | undefined])[];
}

const TCHAR = /[!#$%&'*+\-.^_`|~0-9A-Za-z]/;

/** A token at `lastIndex` (RFC 9110 §5.6.2). */
const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y;

/** A scanner for the header's tokens. */
class Reader {
  private readonly text: string;
  private at = 0;

  constructor(text: string) {
    this.text = text;
  }

  get atEnd(): boolean {
    return this.at >= this.text.length;
  }

  /** Skips `char` and the white space around it. `false`: the next character is another one. */
  consume(char: string): boolean {
    this.skipSpace();
    if (this.text[this.at] !== char) return false;
    this.at++;
    this.skipSpace();
    return true;
  }

  token(): string | undefined {
    this.skipSpace();
    TOKEN.lastIndex = this.at;
    if (!TOKEN.test(this.text)) return undefined;
    const token = this.text.slice(this.at, TOKEN.lastIndex);
    this.at = TOKEN.lastIndex;
    this.skipSpace();
    return token;
  }

  /** Reads a token, or a quoted string whose unescaped content is a token. */
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
export const parseExtensions = (header = ""): ExtensionOffer[] | undefined => {
  const offers: ExtensionOffer[] = [];
  const reader = new Reader(header);
  do {
    // RFC 9110 §5.6.1: a recipient ignores empty list elements.
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
