/**
 * The commit timestamp of a mutation that still runs (function-abi 4.8). Whoever writes it into a document
 * reads the same placeholder back until the mutation ends; the committer puts the Int64 in its place. So it
 * never lies on disk, and no other transaction sees it.
 */

const unresolved = "This commit timestamp is assigned when the mutation commits. " +
  "Read the document after the mutation has completed to get its value.";

export class CommitTimestamp {
  /** Text can be made of it, for logs; a number cannot. */
  [Symbol.toPrimitive](hint: string): string {
    return hint === "string" ? this.toString() : this.valueOf();
  }

  valueOf(): never {
    throw new Error(unresolved);
  }

  toJSON(): never {
    throw new Error(unresolved);
  }

  toString(): string {
    return "[unresolved commit timestamp]";
  }
}

/** The only one, so that what is read back equals what was written. Calls share it, so nobody may change it. */
export const commitTimestamp: CommitTimestamp = Object.freeze(new CommitTimestamp());
Object.freeze(CommitTimestamp.prototype);
Object.freeze(CommitTimestamp);

/** Its JSON text. In a string the quotation marks would be escaped, so this is found nowhere else. */
export const commitTimestampJson = '{"$commitTs":null}';

/**
 * In an index key: above the bytes of every Int64, and no byte itself, so that it is found nowhere else.
 * Sorts as documented, as the largest Int64, but is not equal to it: nobody else's documents have it.
 */
export const commitTimestampKey = "\u0100";
