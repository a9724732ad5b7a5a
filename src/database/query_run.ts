/** A compiled query being read: scanned documents go through its operators in order. */
import type { IndexKey } from "../values/index_key.ts";
import { sizeOf } from "../values/size.ts";
import type { ValueObject } from "../values/value.ts";
import { compileFilter } from "./expression.ts";
import type { QueryOperator } from "./query.ts";
import type { KeyInterval } from "./read_set.ts";

/** Where the documents of a query come from, in order. */
export interface Scan {
  /** The next document, a fresh object; undefined at the end. */
  next(): ValueObject | undefined;
  /** What was read by now. Must be called before user code gets hold of a document. */
  settle(): readonly KeyInterval[];
  /** The position of a document that `next` has returned. */
  keyOf(document: ValueObject): IndexKey;
}

/** Where reads are accounted for. Both may throw when a limit is exceeded. */
export interface ReadSink {
  /** A document was scanned, whether or not a filter lets it pass. */
  countDocument(bytes: number): void;
  /** The scan covers this interval by now. */
  recordInterval(interval: KeyInterval): void;
}

interface RunningOperator {
  readonly passes: ((document: ValueObject) => boolean) | null;
  /** Documents that a limit still lets through. */
  remaining: number;
}

export class QueryRun {
  readonly #scan: Scan;
  readonly #sink: ReadSink;
  readonly #operators: readonly RunningOperator[];
  /** Size of what was scanned. */
  bytesRead = 0;

  constructor(scan: Scan, operators: readonly QueryOperator[], sink: ReadSink) {
    this.#scan = scan;
    this.#sink = sink;
    this.#operators = operators.map((operator) =>
      "limit" in operator
        ? { passes: null, remaining: operator.limit }
        : { passes: compileFilter(operator.filter), remaining: Infinity }
    );
  }

  /** The next document that passes; null at the end. */
  next(): ValueObject | null {
    try {
      return this.#nextAccepted();
    } finally {
      this.record();
    }
  }

  /** All documents that are left. */
  collect(): ValueObject[] {
    try {
      const documents: ValueObject[] = [];
      for (let document; (document = this.#nextAccepted()) !== null;) documents.push(document);
      return documents;
    } finally {
      this.record();
    }
  }

  #nextAccepted(): ValueObject | null {
    for (let document; (document = this.scan()) !== null;) {
      if (this.accepts(document)) return document;
    }
    return null;
  }

  /** The next document of the index; null at the end, or when a limit lets nothing through any more. */
  scan(): ValueObject | null {
    for (const { remaining } of this.#operators) if (remaining === 0) return null;
    const document = this.#scan.next();
    if (document === undefined) return null;
    const bytes = sizeOf(document);
    this.bytesRead += bytes;
    this.#sink.countDocument(bytes);
    return document;
  }

  /** Whether the scanned document comes through all operators. To be asked once for each. */
  accepts(document: ValueObject): boolean {
    for (const operator of this.#operators) {
      if (operator.passes !== null && !operator.passes(document)) return false;
      operator.remaining--;
    }
    return true;
  }

  /** Records what was scanned; must happen before user code gets hold of a document. */
  record(): void {
    for (const interval of this.#scan.settle()) this.#sink.recordInterval(interval);
  }

  /** The position of a scanned document, for cursors. */
  keyOf(document: ValueObject): IndexKey {
    return this.#scan.keyOf(document);
  }
}

/** How many documents a scan will be asked for, if the operators tell. */
export function rowsWanted(operators: readonly QueryOperator[]): number | undefined {
  const [first] = operators;
  return first !== undefined && "limit" in first ? first.limit : undefined;
}
