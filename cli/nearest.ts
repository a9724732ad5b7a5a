/** The name that somebody who mistyped may have meant; undefined if none is close. */
export function nearest(name: string, names: readonly string[]): string | undefined {
  const distances = names.map((candidate) => ({ candidate, distance: distance(name, candidate) }));
  distances.sort((a, b) => a.distance - b.distance);
  const [best] = distances;
  return best !== undefined && best.distance <= Math.max(2, name.length / 4)
    ? best.candidate
    : undefined;
}

/** Levenshtein's: insertions, deletions and replacements that lead from one to the other. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[to.length]!;
}
