/** A map whose keys are ascending numbers, and that can be iterated from any of them. */
export class NumberedMap<T> {
  private readonly values = new Map<number, T>();
  /** The keys, and some that were deleted, ascending. */
  private numbers: number[] = [];

  /** @param number above all earlier ones */
  add(number: number, value: T): void {
    this.values.set(number, value);
    this.numbers.push(number);
  }

  delete(number: number): void {
    this.values.delete(number);
    // Removes more than half of them, so that a deletion costs the same on average, however many there are.
    if (this.numbers.length > 2 * this.values.size) this.numbers = [...this.values.keys()];
  }

  /** The values of the keys that are not below `number`. The map must not be changed meanwhile. */
  *from(number: number): Generator<T> {
    const { numbers, values } = this;
    for (let i = firstNotBelow(numbers, number); i < numbers.length; i++) {
      const value = values.get(numbers[i]!);
      if (value !== undefined) yield value;
    }
  }
}

/** The index of the first of ascending numbers that is not below `number`; their count if all are. */
const firstNotBelow = (numbers: readonly number[], number: number): number => {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (numbers[middle]! < number) low = middle + 1;
    else high = middle;
  }
  return low;
};
