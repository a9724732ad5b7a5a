/**
 * The generator behind `Math.random` and `crypto.getRandomValues`: ChaCha with twelve rounds. The same seed
 * gives the same numbers, and numbers that a function shows tell nobody the ones that it keeps, so tokens
 * made in a mutation are as hard to guess as its seed.
 */
const words = 16;
const rounds = 12;
const blockBytes = words * 4;

export class SeededRandom {
  readonly #state = new Uint32Array(words);
  readonly #block = new Uint32Array(words);
  readonly #blockBytes = new Uint8Array(this.#block.buffer);
  /** Bytes of the block that were given out. */
  #used = blockBytes;

  /** `seed`: 64 hex digits. */
  constructor(seed: string) {
    this.#state.set([0x61707865, 0x3320646e, 0x79622d32, 0x6b206574]);
    for (let i = 0; i < 8; i++) {
      this.#state[4 + i] = parseInt(seed.slice(i * 8, i * 8 + 8), 16);
    }
  }

  /** In [0, 1), with 53 random bits. */
  float(): number {
    // Eight bytes at a time, so that both words come from one block.
    this.#used = Math.ceil(this.#used / 8) * 8;
    if (this.#used >= blockBytes) this.#refill();
    const high = this.#block[this.#used / 4]! >>> 5;
    const low = this.#block[this.#used / 4 + 1]! >>> 6;
    this.#used += 8;
    return (high * 0x4000000 + low) / 0x20000000000000;
  }

  fill(bytes: Uint8Array): void {
    for (let filled = 0; filled < bytes.length;) {
      if (this.#used >= blockBytes) this.#refill();
      const count = Math.min(bytes.length - filled, blockBytes - this.#used);
      bytes.set(this.#blockBytes.subarray(this.#used, this.#used + count), filled);
      this.#used += count;
      filled += count;
    }
  }

  /** Seed for a generator that is independent of this one from here on. */
  seed(): string {
    const bytes = new Uint8Array(32);
    this.fill(bytes);
    return bytes.toHex();
  }

  #refill(): void {
    const block = this.#block;
    block.set(this.#state);
    for (let round = 0; round < rounds; round += 2) {
      quarterRound(block, 0, 4, 8, 12);
      quarterRound(block, 1, 5, 9, 13);
      quarterRound(block, 2, 6, 10, 14);
      quarterRound(block, 3, 7, 11, 15);
      quarterRound(block, 0, 5, 10, 15);
      quarterRound(block, 1, 6, 11, 12);
      quarterRound(block, 2, 7, 8, 13);
      quarterRound(block, 3, 4, 9, 14);
    }
    for (let i = 0; i < words; i++) block[i] = block[i]! + this.#state[i]!;
    if (++this.#state[12]! === 0) this.#state[13]!++;
    this.#used = 0;
  }
}

function quarterRound(x: Uint32Array, a: number, b: number, c: number, d: number): void {
  x[a] = x[a]! + x[b]!;
  x[d] = rotate(x[d]! ^ x[a]!, 16);
  x[c] = x[c]! + x[d]!;
  x[b] = rotate(x[b]! ^ x[c]!, 12);
  x[a] = x[a]! + x[b]!;
  x[d] = rotate(x[d]! ^ x[a]!, 8);
  x[c] = x[c]! + x[d]!;
  x[b] = rotate(x[b]! ^ x[c]!, 7);
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
