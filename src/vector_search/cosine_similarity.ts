/** From -1 (opposite directions) to 1 (the same direction); 0 if one of them is all zeros. */
export function cosineSimilarity(a: Float32Array, b: Float32Array): number {
  let product = 0;
  let squaresA = 0;
  let squaresB = 0;
  for (let i = 0; i < a.length; i++) {
    const x = a[i]!;
    const y = b[i]!;
    product += x * y;
    squaresA += x * x;
    squaresB += y * y;
  }
  if (product === 0) return 0;
  const similarity = product / (Math.sqrt(squaresA) * Math.sqrt(squaresB));
  return Math.max(-1, Math.min(1, similarity));
}
