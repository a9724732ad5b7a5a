/** Throws when an invariant of Hull itself is broken; `message` says which. Always on. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`Invariant broken: ${message}`);
}

/** Marks a branch the type checker knows to be impossible; reaching it is a broken invariant. */
export function unreachable(value: never): never {
  throw new Error(`Invariant broken: unexpected ${JSON.stringify(value)}`);
}
