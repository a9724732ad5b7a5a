/** Hull itself is wrong; nobody may go on as if nothing had happened. */
export class InvariantError extends Error {
  override name = "InvariantError";
  constructor(message: string) {
    super(`Invariant broken: ${message}`);
  }
}

/** Throws when an invariant of Hull itself is broken; `message` says which. Always on. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

/** Marks a branch the type checker knows to be impossible; reaching it is a broken invariant. */
export function unreachable(value: never): never {
  throw new InvariantError(`unexpected ${JSON.stringify(value)}`);
}
