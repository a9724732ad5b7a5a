/**
 * A position in commit order: whole microseconds since the epoch, strictly increasing over all commits
 * of one database, across restarts and clock steps. Below 2^53 until the year 2255, so a plain number.
 * On the wire and in `$commitTs` it is nanoseconds (sync-protocol 3).
 */
export type Timestamp = number & { readonly brand: "Timestamp" };

/** Before every commit. */
export const zeroTimestamp = 0 as Timestamp;
