/**
 * Commits that a running query may not have seen. A result that arrives with snapshot s is checked
 * against the commits after s, all of which happened while the query ran; so nothing older than the
 * longest-running query is kept, and nothing at all while no query runs.
 */
import type { AppliedCommit } from "../committer/protocol.ts";
import { type ReadSet, readSetContains } from "../database/read_set.ts";
import { type Timestamp, zeroTimestamp } from "../database/timestamp.ts";

/** Bounds memory when a slow query runs beside fast writers: about 100 bytes a key. */
const keysMax = 1_000_000;

export class RecentCommits {
  #commits: AppliedCommit[] = [];
  #keys = 0;
  /** Commits up to here are no longer known. */
  #forgottenThrough = zeroTimestamp;

  append(commit: AppliedCommit): void {
    this.#commits.push(commit);
    this.#keys += commit.keys.length;
    if (this.#keys > keysMax) this.forgetThrough(commit.timestamp);
  }

  /** Drops commits up to `timestamp`. */
  forgetThrough(timestamp: Timestamp): void {
    let dropped = 0;
    while (dropped < this.#commits.length && this.#commits[dropped]!.timestamp <= timestamp) {
      this.#keys -= this.#commits[dropped]!.keys.length;
      dropped++;
    }
    if (dropped > 0) this.#commits.splice(0, dropped);
    if (timestamp > this.#forgottenThrough) this.#forgottenThrough = timestamp;
  }

  /**
   * The first commit after `snapshot` that wrote into `reads`; null if there is none. When some of those
   * commits are forgotten, the answer is the first moment that the snapshot says nothing about.
   */
  firstTouching(reads: ReadSet, snapshot: Timestamp): Timestamp | null {
    if (snapshot < this.#forgottenThrough) return (snapshot + 1) as Timestamp;
    for (const commit of this.#commits) {
      if (commit.timestamp <= snapshot) continue;
      if (commit.keys.some(([index, key]) => readSetContains(reads, index, key))) {
        return commit.timestamp;
      }
    }
    return null;
  }
}
