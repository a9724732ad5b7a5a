/** Results of queries as clients get them: each is encoded once, for however many subscribers. */
import { clientFailureText } from "../functions/failure_text.ts";
import type { FunctionResult, QueryResult } from "../functions/functions.ts";
import type { RequestIds } from "../functions/request_id.ts";
import { encodeQueryOutcome, type Outcome } from "./protocol.ts";

/** Hides the details of failures and all log lines from clients (sync-protocol 62). */
export interface Visibility {
  readonly redact: boolean;
}

interface Encoded {
  open?: string;
  redacted?: string;
}

export class QueryEncodings {
  readonly #ids: RequestIds;
  readonly #encoded = new WeakMap<QueryResult, Encoded>();

  constructor(ids: RequestIds) {
    this.#ids = ids;
  }

  /** What follows the query id in a modification. */
  of(result: QueryResult, { redact }: Visibility): string {
    let encoded = this.#encoded.get(result);
    if (encoded === undefined) this.#encoded.set(result, encoded = {});
    const version = redact ? "redacted" : "open";
    return encoded[version] ??= this.#encode(result, { redact });
  }

  #encode({ result, journal }: QueryResult, visibility: Visibility): string {
    // One run answers many requests, so the id in an error is the run's and not a request's.
    const requestId = result.ok ? "" : this.#ids.requestId();
    return encodeQueryOutcome(
      outcomeOf(result, requestId, visibility),
      visibleLogLines(result, visibility),
      journal,
    );
  }
}

export function outcomeOf(
  result: FunctionResult,
  requestId: string,
  { redact }: Visibility,
): Outcome {
  if (result.ok) return result;
  const { failure } = result;
  return {
    ok: false,
    error: clientFailureText(failure, requestId, redact),
    data: failure.data,
  };
}

export function visibleLogLines(
  { logLines }: FunctionResult,
  { redact }: Visibility,
): readonly string[] {
  return redact ? [] : logLines;
}
