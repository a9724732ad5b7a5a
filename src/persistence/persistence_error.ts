/** What can go wrong with the data folder, each with its cause and its remedy in the message. */
export type PersistenceErrorCode =
  /** Another server uses the folder. */
  | "InUse"
  /** Another program holds a lock on the database file. */
  | "Locked"
  | "NotWritable"
  | "DiskFull"
  | "Corrupt"
  | "NotADatabase"
  /** Written by a newer version of Hull. */
  | "TooNew"
  /** Written by an earlier version of Hull, and not upgraded yet. */
  | "TooOld"
  /** The files are gone although the server still uses them. */
  | "Removed"
  | "UnsafeSqlite"
  /** A row contradicts what is stored: a defect of Hull, never the disk's fault. */
  | "Constraint"
  /** Anything else: after it, nobody knows what is on disk. */
  | "Failed";

export class PersistenceError extends Error {
  override name = "PersistenceError";
  constructor(readonly code: PersistenceErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

const harmless: readonly PersistenceErrorCode[] = ["DiskFull", "Constraint", "Locked"];

/**
 * Whether a failed transaction is known to have been rolled back, so that the server may go on. Errors of
 * our own code end a transaction before it is committed.
 */
export function leftNoTrace(error: unknown): boolean {
  return !(error instanceof PersistenceError) || harmless.includes(error.code);
}

/** SQLite's messages, in its own words; its numeric codes are not always passed on by the runtime. */
const causes: readonly [pattern: RegExp, PersistenceErrorCode, explanation: string][] = [
  [
    /database or disk is full|no space left/i,
    "DiskFull",
    "The disk is full. Free some space and try again.",
  ],
  [
    /read-?only (database|file system)|unable to open database file|file exists|permission denied|authorization denied/i,
    "NotWritable",
    "The folder or a file in it cannot be opened or written. Check that it exists, who owns it, and " +
    "that its disk is not mounted read-only.",
  ],
  [
    /disk image is malformed|database corruption/,
    "Corrupt",
    "The database is damaged. Restore a backup into an empty folder.",
  ],
  [
    /file is not a database/,
    "NotADatabase",
    "The file is not a SQLite database. Choose another data folder, or move the file away.",
  ],
  [
    /database is locked|database table is locked/,
    "Locked",
    "Another program has locked the database. Close every other program that has it open.",
  ],
  [/constraint failed|datatype mismatch/, "Constraint", "The change contradicts what is stored."],
];

/** The error to throw for one that SQLite threw while it did `action` with the file at `path`. */
export function persistenceError(action: string, path: string, error: unknown): PersistenceError {
  if (error instanceof PersistenceError) return error;
  const text = error instanceof Error ? error.message : String(error);
  const known = causes.find(([pattern]) => pattern.test(text));
  const [, code, explanation] = known ?? [null, "Failed" as const, ""];
  return new PersistenceError(
    code,
    `Cannot ${action} ${path}: ${text}.${explanation && ` ${explanation}`}`,
    { cause: error },
  );
}
