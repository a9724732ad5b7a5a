/** Results of queries as clients get them: each is encoded once, for however many subscribers. */
import { clientFailureText } from "../functions/failure_text.ts";
import type { FunctionResult, QueryResult } from "../functions/functions.ts";
import type { RequestIds } from "../functions/request_id.ts";
import { isSameResult, type LiveQuery } from "./connection_state.ts";
import {
  encodeQueryModification,
  encodeQueryOutcome,
  encodeQueryRemoved,
  type Outcome,
} from "./protocol.ts";

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

  /** Modifications for a client that has been told `sent` of each query: what it does not know, by query id. */
  news(
    queries: ReadonlyMap<number, LiveQuery>,
    removed: readonly number[],
    visibility: Visibility,
  ): string[] {
    const news = removed.map((id): [id: number, text: string] => [id, encodeQueryRemoved(id)]);
    for (const [id, query] of queries) {
      const { sent, sentRedacted } = query;
      const result = query.result!;
      // The newer of two equal results is kept, so that the older one can be let go of.
      query.sent = result.result;
      query.sentRedacted = visibility.redact;
      if (sentRedacted === visibility.redact && isSameResult(sent, result.result)) continue;
      news.push([id, encodeQueryModification(id, this.#of(result, visibility))]);
    }
    return news.sort(([a], [b]) => a - b).map(([, text]) => text);
  }

  /** What follows the query id in a modification. */
  #of(result: QueryResult, { redact }: Visibility): string {
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
