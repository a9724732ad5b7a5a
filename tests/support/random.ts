/** Randomness that can be repeated: a test prints its seed, and `HULL_TEST_SEED` brings the same run back. */

export interface SeededRandom {
  readonly seed: number;
  /** A number in [0, 1). */
  next(): number;
  /** A whole number in [0, below). */
  integer(below: number): number;
  pick<T>(items: readonly T[]): T;
}

/** The mulberry32 generator; unless a seed is given, seeded from the environment or the clock. */
export function seededRandom(
  seed = Number(Deno.env.get("HULL_TEST_SEED") ?? Date.now() % 2 ** 31),
): SeededRandom {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const integer = (below: number) => Math.floor(next() * below);
  return {
    seed,
    next,
    integer,
    pick<T>(items: readonly T[]): T {
      if (items.length === 0) throw new RangeError("cannot pick from nothing");
      return items[integer(items.length)] as T;
    },
  };
}
