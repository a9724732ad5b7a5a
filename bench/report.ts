/** Results as Markdown: each beside the limit that this machine showed in the same run. */

export interface Result {
  readonly measure: string;
  /** Connections or subscribers. */
  readonly clients: number | null;
  readonly unit: "/s" | "ms" | "MiB";
  readonly value: number;
  /** What the raw server reached, and what it did for that. */
  readonly limit: number;
  readonly limitMeaning: string;
  readonly p50Ms?: number;
  readonly p99Ms?: number;
}

const headings = [
  "measure",
  "clients",
  "Hull",
  "limit",
  "of the limit",
  "p50",
  "p99",
  "the limit is",
];

export function renderTable(results: readonly Result[]): string {
  const rows = results.map((result) => [
    result.measure,
    result.clients === null ? "" : String(result.clients),
    quantity(result.value, result.unit),
    quantity(result.limit, result.unit),
    ratio(result),
    result.p50Ms === undefined ? "" : quantity(result.p50Ms, "ms"),
    result.p99Ms === undefined ? "" : quantity(result.p99Ms, "ms"),
    result.limitMeaning,
  ]);
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(headings), line(headings.map(() => "---")), ...rows.map(line)].join("\n");
}

/** Rates as a part of the limit; times and memory as a multiple of it. */
function ratio({ unit, value, limit }: Result): string {
  return unit === "/s"
    ? `${(value / limit * 100).toFixed(0)} %`
    : `${(value / limit).toFixed(1)} ×`;
}

function quantity(value: number, unit: Result["unit"]): string {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  const text = value.toFixed(digits).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  return unit === "/s" ? `${text}/s` : `${text} ${unit}`;
}

const begin = "<!-- deno-fmt-ignore-start -->";
const end = "<!-- deno-fmt-ignore-end -->";

/** BENCHMARKS.md with its table, and the line that says where it was taken, replaced. */
export function replaceTable(text: string, machine: string, table: string): string {
  const [before] = text.split(begin);
  const [, after] = text.split(end);
  if (before === undefined || after === undefined) throw new Error("BENCHMARKS.md lost its marks");
  return `${before}${begin}\n\n${machine}\n\n${table}\n\n${end}${after}`;
}
