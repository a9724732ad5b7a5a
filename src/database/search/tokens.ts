/** The words of a text, for documents and queries alike (semantics 15). No stemming, no stop words. */

const word = /[\p{Alphabetic}\p{Number}]+/gu;

/** Longer ones are ignored. */
const tokenBytesMax = 32;
const bytesPerUnitMax = 3;

/** Every run of letters and digits in lower case, in order, repetitions included. */
export function tokenize(text: string): string[] {
  const tokens: string[] = [];
  for (const [token] of text.matchAll(word)) {
    if (isShort(token)) tokens.push(token.toLowerCase());
  }
  return tokens;
}

const encoder = new TextEncoder();

function isShort(token: string): boolean {
  if (token.length > tokenBytesMax) return false;
  return token.length * bytesPerUnitMax <= tokenBytesMax ||
    encoder.encode(token).length <= tokenBytesMax;
}
