/** Queries whose answers hold at one common moment (http-api 28). */
import type { Timestamp } from "../database/timestamp.ts";
import { RequestError } from "../errors.ts";
import type { Functions, QueryRequest, QueryResult } from "../functions/functions.ts";

/** Under a constant stream of writes to what is read, the queries may never agree. */
const roundsMax = 10;

/**
 * Runs queries until all of them are right at one timestamp, durable by then: results from different
 * snapshots agree when no commit touched what the older ones read; those that are overtaken run again.
 * @throws RequestError when writes overtake them too often.
 */
export async function consistentResults(
  functions: Functions,
  queries: readonly QueryRequest[],
): Promise<QueryResult[]> {
  let results: QueryResult[] = [];
  let timestamp: Timestamp | undefined;
  for (let round = 0; round < roundsMax; round++) {
    results = await Promise.all(queries.map((query, i) => {
      const earlier = results[i];
      const stillRight = earlier !== undefined && isRightAt(earlier, timestamp!);
      return stillRight ? earlier : functions.query(query, timestamp);
    }));
    timestamp = Math.max(...results.map((result) => result.timestamp)) as Timestamp;
    // Watched results are told of every commit; by the time a timestamp is durable, of all up to it.
    const unwatch = results.map((result) => functions.watch(result, ignoreInvalidation));
    await functions.durable(timestamp);
    for (const end of unwatch) end();
    if (results.every((result) => isRightAt(result, timestamp!))) return results;
  }
  throw new RequestError(
    "overloaded",
    "TooManyConflicts",
    "The data that these queries read kept changing. Try again later.",
  );
}

/** Whether a result is known to be the query's answer at `timestamp`, which must be applied by now. */
export function isRightAt(result: QueryResult, timestamp: Timestamp): boolean {
  return result.timestamp <= timestamp &&
    (result.invalidatedAt === null || timestamp < result.invalidatedAt);
}

/** What changed meanwhile is read off `invalidatedAt`. */
function ignoreInvalidation(): void {}
