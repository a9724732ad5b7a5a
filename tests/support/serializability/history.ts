/**
 * What clients saw and did, as the checker takes it.
 *
 * Every write gives its key a version that nobody else writes, and says which version it replaced. So both the
 * order of a key's versions and the writer of whatever was read follow from observations alone, as in Kingsbury and
 * Alvaro, "Elle: Inferring Isolation Anomalies from Experimental Observations" (PVLDB 14, 2020); nothing the
 * database says about its own order is trusted.
 */

/** A version of a key; null: the state before its first write. */
export type Version = string | null;

export interface Write {
  readonly key: string;
  readonly version: string;
  readonly replaces: Version;
}

/**
 * A key was read at one of these versions. There are several when all that was seen is that no document was there,
 * which may have been before it was inserted or after it was deleted or moved away.
 */
export interface Read {
  readonly key: string;
  readonly versions: readonly Version[];
}

export interface RecordedTransaction {
  readonly id: string;
  /** Of other transactions' versions; own writes are not read back here. */
  readonly reads: readonly Read[];
  /** In the order in which they were made. */
  readonly writes: readonly Write[];
  /** Everything that ended before this came first. Absent: it may have seen the database as of any time before. */
  readonly startedAt?: number;
  /** Everything that started after this comes later. Absent: nobody was told of its end. */
  readonly endedAt?: number;
  /** Transactions that a promise to the client puts before this one. */
  readonly follows: readonly string[];
}

export interface History {
  readonly committed: readonly RecordedTransaction[];
  /** Versions written by transactions, or parts of them, that were rolled back. */
  readonly aborted: ReadonlySet<string>;
}

/** The names of Adya, "Weak Consistency" (1999), and two that say more. `realtime`: needs the order of time. */
export type AnomalyKind =
  | "G0"
  | "G1a"
  | "G1b"
  | "G1c"
  | "G-single"
  | "G2"
  | "lost update"
  | "unknown version"
  | `${"G0" | "G1c" | "G-single" | "G2"} realtime`;

export interface Anomaly {
  readonly kind: AnomalyKind;
  /** For people: which transactions, which keys. */
  readonly text: string;
}
