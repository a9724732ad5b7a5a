/**
 * What a server counts while it works. Counting is an addition in memory and nothing else, so that the
 * places which do it need not know whether anybody ever asks; texts are made when somebody does.
 */
import type { FunctionKind } from "../isolate/protocol.ts";
import { Counter, Histogram, type Metric, renderMetrics } from "./instruments.ts";

interface CallMetrics {
  readonly succeeded: Counter;
  readonly failed: Counter;
  readonly duration: Histogram;
}

const functionKinds = ["query", "mutation", "action", "httpAction"] as const;

export class ServerMetrics {
  readonly #calls: Readonly<Record<FunctionKind, CallMetrics>> = {
    query: newCallMetrics(),
    mutation: newCallMetrics(),
    action: newCallMetrics(),
    httpAction: newCallMetrics(),
  };
  readonly cacheHits = new Counter();
  readonly conflicts = new Counter();
  readonly retries = new Counter();
  readonly groups = new Histogram();
  readonly syncs = new Histogram();
  readonly #others: Metric[] = [];

  /** A function ran to its end; results from the cache are `cacheHits` instead. */
  called(kind: FunctionKind, durationMs: number, succeeded: boolean): void {
    const calls = this.#calls[kind];
    (succeeded ? calls.succeeded : calls.failed).add();
    calls.duration.observeMs(durationMs);
  }

  /** Adds what is not counted but looked up. */
  add(...metrics: readonly Metric[]): void {
    this.#others.push(...metrics);
  }

  render(): string {
    return renderMetrics([...this.#counted(), ...this.#others]);
  }

  *#counted(): Generator<Metric> {
    yield {
      name: "hull_function_calls_total",
      type: "counter",
      help: "Functions that ran to their end.",
      samples: () =>
        functionKinds.flatMap((type) => [
          { labels: { type, outcome: "success" }, value: this.#calls[type].succeeded.value },
          { labels: { type, outcome: "error" }, value: this.#calls[type].failed.value },
        ]),
    };
    yield {
      name: "hull_function_duration_seconds",
      type: "histogram",
      help: "Time from a call to its end, with waiting, without results from the cache.",
      samples: () => functionKinds.flatMap((type) => this.#calls[type].duration.samples({ type })),
    };
    yield counterMetric(
      "hull_query_cache_hits_total",
      "Queries that were answered from the cache.",
      this.cacheHits,
    );
    yield counterMetric(
      "hull_mutation_conflicts_total",
      "Runs of mutations that did not commit because what they had read had changed.",
      this.conflicts,
    );
    yield counterMetric(
      "hull_mutation_retries_total",
      "Runs of mutations that were begun because the one before had met a conflict.",
      this.retries,
    );
    yield histogramMetric(
      "hull_commit_duration_seconds",
      "Time to decide and apply a group of transactions that arrived together.",
      this.groups,
    );
    yield histogramMetric(
      "hull_sync_duration_seconds",
      "Time to flush the write-ahead log to the disk.",
      this.syncs,
    );
  }
}

function newCallMetrics(): CallMetrics {
  return { succeeded: new Counter(), failed: new Counter(), duration: new Histogram() };
}

function counterMetric(name: string, help: string, counter: Counter): Metric {
  return { name, type: "counter", help, samples: () => [{ value: counter.value }] };
}

function histogramMetric(name: string, help: string, histogram: Histogram): Metric {
  return { name, type: "histogram", help, samples: () => histogram.samples({}) };
}
