/**
 * Which read sets a commit touches.
 *
 * A subscription is a result together with what was read for it. It is right from the snapshot it was
 * computed at until the first commit that writes into its read set:
 *
 *     snapshot s          a commit elsewhere       a commit into the read set
 *        |--------------------|------------------------|
 *        right ...................................     invalidatedAt
 *
 * A result arrives some time after its snapshot was taken. Commits between the two are found in the log
 * of recent commits; later ones when they are applied. So a `Run` is begun before the query is handed to
 * an isolate and ended when its result is added, and no commit falls in between.
 */
import type { AppliedCommit, CommitterClient } from "../committer/protocol.ts";
import type { IndexId } from "../database/catalog.ts";
import type { ReadSet } from "../database/read_set.ts";
import type { Timestamp } from "../database/timestamp.ts";
import { IntervalTree } from "./interval_tree.ts";
import { RecentCommits } from "./recent_commits.ts";

export interface Subscription {
  readonly reads: ReadSet;
  /** The snapshot. */
  readonly timestamp: Timestamp;
  /** Set once, here. */
  invalidatedAt: Timestamp | null;
}

/** A query on its way; its snapshot will be at or after `from`. */
export interface Run {
  readonly from: Timestamp;
}

export class Subscriptions<S extends Subscription> {
  readonly #indexes = new Map<IndexId, IntervalTree<S>>();
  readonly #recent = new RecentCommits();
  /** In the order they began, so the first has the oldest snapshot. */
  readonly #runs = new Set<Run>();
  #waiting: { timestamp: Timestamp; resolve: () => void }[] = [];
  #applied: Timestamp;

  constructor(committer: Pick<CommitterClient, "appliedTimestamp">) {
    this.#applied = committer.appliedTimestamp;
    this.#recent.forgetThrough(this.#applied);
  }

  /** Every subscription knows of all commits up to here. */
  get applied(): Timestamp {
    return this.#applied;
  }

  begin(): Run {
    const run = { from: this.#applied };
    this.#runs.add(run);
    return run;
  }

  end(run: Run): void {
    this.#runs.delete(run);
    const [oldest] = this.#runs;
    this.#recent.forgetThrough(oldest?.from ?? this.#applied);
  }

  /** Resolves when `applied` has reached `timestamp`: an isolate may see a commit before we hear of it. */
  reached(timestamp: Timestamp): Promise<void> {
    if (timestamp <= this.#applied) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ timestamp, resolve }));
  }

  /** Follows a subscription from now on, unless a commit since its snapshot has already ended it. */
  add(subscription: S): void {
    const { reads, timestamp } = subscription;
    subscription.invalidatedAt = this.#recent.firstTouching(reads, timestamp);
    if (subscription.invalidatedAt !== null) return;
    for (const [index, intervals] of reads) {
      let tree = this.#indexes.get(index);
      if (tree === undefined) this.#indexes.set(index, tree = new IntervalTree());
      for (const interval of intervals) tree.add(interval, subscription);
    }
  }

  remove(subscription: S): void {
    for (const [index, intervals] of subscription.reads) {
      const tree = this.#indexes.get(index);
      if (tree === undefined) continue;
      for (const interval of intervals) tree.remove(interval, subscription);
      if (tree.isEmpty) this.#indexes.delete(index);
    }
  }

  /** Takes in a group of commits; returns what they ended, already removed and marked. */
  apply(commits: readonly AppliedCommit[]): S[] {
    const ended: S[] = [];
    for (const commit of commits) {
      for (const subscription of this.#touched(commit)) {
        subscription.invalidatedAt = commit.timestamp;
        this.remove(subscription);
        ended.push(subscription);
      }
      if (this.#runs.size > 0) this.#recent.append(commit);
      this.#applied = commit.timestamp;
    }
    if (this.#runs.size === 0) this.#recent.forgetThrough(this.#applied);
    this.#wake();
    return ended;
  }

  #touched(commit: AppliedCommit): Set<S> {
    const touched = new Set<S>();
    for (const [index, key] of commit.keys) {
      this.#indexes.get(index)?.forEachAt(key, (subscription) => touched.add(subscription));
    }
    return touched;
  }

  #wake(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = waiting.filter(({ timestamp }) => timestamp > this.#applied);
    for (const { timestamp, resolve } of waiting) if (timestamp <= this.#applied) resolve();
  }
}
