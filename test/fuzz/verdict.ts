/** Records the first failed check: thrown within a callback, the session would take it for an error of the handler. */
export class Verdict {
  private first: Error | undefined;

  holds(condition: boolean, otherwise: string): void {
    if (!condition) this.first ??= new Error(otherwise);
  }

  same(actual: unknown, expected: unknown, otherwise: string): void {
    if (!Object.is(actual, expected)) this.first ??= new Error(`${otherwise}: ${show(actual)}, not ${show(expected)}`);
  }

  /** @throws the first failed check */
  deliver(): void {
    if (this.first !== undefined) throw this.first;
  }
}

const show = (value: unknown): string =>
  typeof value === "object" && value !== null && !(value instanceof Error)
    ? (JSON.stringify(value)?.slice(0, 200) ?? "an object")
    : String(value);
