/** Times of many operations, summarised once at the end. */
export class Latencies {
  readonly #milliseconds: number[] = [];

  add(milliseconds: number): void {
    this.#milliseconds.push(milliseconds);
  }

  addAll(other: Latencies): void {
    this.#milliseconds.push(...other.#milliseconds);
  }

  get count(): number {
    return this.#milliseconds.length;
  }

  /** The time that this part (0 to 1) of the operations did not exceed; NaN without any. */
  quantile(part: number): number {
    const sorted = this.#milliseconds.toSorted((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? NaN;
  }
}

export const sleep = (milliseconds: number) =>
  new Promise<void>((resolve) => setTimeout(resolve, milliseconds));
