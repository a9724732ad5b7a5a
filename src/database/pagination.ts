/** One page of a query (function-abi 6). */
import { DeveloperError } from "../errors.ts";
import { checkString, invalidArgument } from "./arguments.ts";
import { type KeyRange, keySuccessor } from "../values/index_key.ts";
import type { ValueObject } from "../values/value.ts";
import type { PageCursors, PagePosition } from "./page_cursor.ts";
import type { CompiledQuery } from "./compiled_query.ts";
import type { QueryRun } from "./query_run.ts";
import { isReadLimit } from "./usage.ts";

/** As user code gives them; `checkPageOptions` comes first. */
export interface PageOptions {
  readonly cursor?: string | null;
  /** Where the page must end, whatever its size. */
  readonly endCursor?: string | null;
  readonly pageSize: number;
  readonly maximumRowsRead?: number | null;
  readonly maximumBytesRead?: number | null;
}

export interface Page {
  readonly page: ValueObject[];
  readonly isDone: boolean;
  readonly continueCursor: string;
  readonly splitCursor: string | null;
  readonly pageStatus: "SplitRecommended" | "SplitRequired" | null;
}

/**
 * The page end that one execution decided, or must repeat. Make one for each execution, nested ones
 * included; those begin with null and their `result` is dropped.
 */
export class QueryJournal {
  /** What the outcome of the execution carries, for the next run; null if it did not paginate. */
  result: string | null = null;

  constructor(readonly given: string | null) {}
}

/** Pages may ask for this many documents, and are read up to this many bytes, before they ought to be split. */
const pageSizeMax = 32_000;
const pageBytesMax = 16 * 1024 * 1024;
const pageDocumentsRecommendedMax = 6144;

/** @throws DeveloperError for what no page can have; types do not bind user code, nor its clients. */
export function checkPageOptions(options: PageOptions): void {
  const { cursor, endCursor, pageSize, maximumRowsRead, maximumBytesRead } = options;
  checkString(cursor ?? "", "cursor", "paginate");
  checkString(endCursor ?? "", "endCursor", "paginate");
  checkCount(pageSize, "numItems");
  checkCount(maximumRowsRead ?? 1, "maximumRowsRead");
  checkCount(maximumBytesRead ?? 1, "maximumBytesRead");
  if (pageSize === 0) {
    throw new DeveloperError(
      "NoDocumentsForPagination",
      "Must request at least 1 document while paginating",
    );
  }
  if (pageSize > pageSizeMax) {
    throw new DeveloperError("PageSizeTooLarge", `Requested too many items: ${pageSize}`);
  }
  if (maximumRowsRead === 0 || maximumBytesRead === 0) {
    throw new DeveloperError(
      "InvalidPaginationLimit",
      "maximumRowsRead and maximumBytesRead must be greater than 0",
    );
  }
}

function checkCount(value: number, option: string): void {
  if (Number.isInteger(value) && value >= 0) return;
  throw invalidArgument(option, "paginate", `expected a whole number, got ${value}`);
}

/** What of a query's interval lies behind `start` and not behind `end`; null for no bound. */
export function pageInterval(
  { interval, order }: CompiledQuery,
  start: PagePosition | null,
  end: PagePosition | null,
): KeyRange {
  const { lower, upper } = interval;
  if (start === "end") return { lower, upper: lower };
  return order === "asc"
    ? {
      lower: start === null ? lower : keySuccessor(start.after),
      upper: end === null || end === "end" ? upper : keySuccessor(end.after),
    }
    : {
      lower: end === null || end === "end" ? lower : end.after,
      upper: start === null ? upper : start.after,
    };
}

/**
 * Reads one page from `run`, which scans what `pageInterval` gave. With an `end` the page is all of
 * that; without one it has up to `pageSize` documents.
 */
export function readPage(
  run: QueryRun,
  query: CompiledQuery,
  cursors: PageCursors,
  options: PageOptions,
  end: PagePosition | null,
): Page {
  const isBounded = end !== null;
  const sizeMax = isBounded ? Infinity : options.pageSize;
  const rowsMax = isBounded ? Infinity : options.maximumRowsRead ?? Infinity;
  const bytesMax = isBounded ? Infinity : options.maximumBytesRead ?? Infinity;

  const page: ValueObject[] = [];
  /** Every document passed over, whether or not a filter let it into the page. */
  const rows: ValueObject[] = [];
  let isShort = false;
  let isComplete = false;
  try {
    while (page.length < sizeMax && !isComplete && !isShort) {
      if (rows.length >= rowsMax || (rows.length > 0 && run.bytesRead >= bytesMax)) {
        isShort = true;
        continue;
      }
      const row = run.scan();
      if (row === null) {
        isComplete = true;
        continue;
      }
      rows.push(row);
      if (run.accepts(row)) page.push(row);
    }
  } catch (error) {
    // The page ends where the transaction's own limits do; but a page must come further than its cursor.
    if (rows.length === 0 || !isReadLimit(error)) throw error;
    isShort = true;
  } finally {
    run.record();
  }

  const positionAt = (row: ValueObject): PagePosition => ({ after: run.keyOf(row) });
  // A page with a given end keeps it even when it could not be read to there: the pages behind it begin at it.
  const position = end ?? (isComplete ? "end" : positionAt(rows.at(-1)!));
  const isLarge = rows.length > 0.75 * (options.maximumRowsRead ?? pageSizeMax) ||
    run.bytesRead > 0.75 * (options.maximumBytesRead ?? pageBytesMax) ||
    page.length > pageDocumentsRecommendedMax;
  // Clients show a page that must be split only once it is, so there must be a way to split it.
  const canSplit = isShort || (rows.length > 2 && query.index.kind !== "search");
  return {
    page,
    isDone: position === "end",
    continueCursor: cursors.encode(position),
    splitCursor: canSplit ? cursors.encode(positionAt(rows[Math.floor(rows.length / 2)]!)) : null,
    pageStatus: isShort ? "SplitRequired" : isLarge ? "SplitRecommended" : null,
  };
}

/** The page of a table that does not exist. */
export function emptyPage(cursors: PageCursors): Page {
  return {
    page: [],
    isDone: true,
    continueCursor: cursors.encode("end"),
    splitCursor: null,
    pageStatus: null,
  };
}
