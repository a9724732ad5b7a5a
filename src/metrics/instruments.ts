/** What measurements are kept in, and their text in Prometheus' exposition format (version 0.0.4). */

/** A number that only grows. */
export class Counter {
  #value = 0;

  add(amount = 1): void {
    this.#value += amount;
  }

  get value(): number {
    return this.#value;
  }
}

/**
 * Upper bounds of the buckets in seconds: half a millisecond, which a cached or tiny call takes, to a minute,
 * each about twice the one before.
 */
const boundsS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60];

/** How many durations fell into each of a few ranges. */
export class Histogram {
  readonly #counts: number[] = new Array(boundsS.length + 1).fill(0);
  #sumS = 0;

  observeMs(durationMs: number): void {
    const durationS = durationMs / 1000;
    let bucket = 0;
    while (bucket < boundsS.length && durationS > boundsS[bucket]!) bucket++;
    this.#counts[bucket]!++;
    this.#sumS += durationS;
  }

  /** The samples: cumulative buckets, sum and count. */
  samples(labels: Labels): Sample[] {
    let count = 0;
    const buckets = [...boundsS, "+Inf"].map((bound, i): Sample => {
      count += this.#counts[i]!;
      return { suffix: "_bucket", labels: { ...labels, le: String(bound) }, value: count };
    });
    return [
      ...buckets,
      { suffix: "_sum", labels, value: this.#sumS },
      { suffix: "_count", labels, value: count },
    ];
  }
}

export type Labels = Readonly<Record<string, string>>;

export interface Sample {
  /** Behind the name of the metric; histograms have several series. */
  readonly suffix?: string;
  readonly labels?: Labels;
  readonly value: number;
}

export interface Metric {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  /** One sentence. */
  readonly help: string;
  /** Called when somebody asks. */
  readonly samples: () => Iterable<Sample>;
}

/** The text of metrics as they are now. */
export function renderMetrics(metrics: Iterable<Metric>): string {
  let text = "";
  for (const { name, type, help, samples } of metrics) {
    text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
    for (const { suffix = "", labels = {}, value } of samples()) {
      text += `${name}${suffix}${renderLabels(labels)} ${value}\n`;
    }
  }
  return text;
}

function renderLabels(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}
