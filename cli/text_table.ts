/** Tables for people to read. */
import { styler } from "./terminal.ts";

/** More of a value than this makes lines that nobody can follow. */
const cellLengthMax = 60;

/** Columns as wide as their longest value; values that are too long are cut. */
export function renderTable(
  columns: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const style = styler(Deno.stdout);
  const cells = rows.map((row) => row.map(cut));
  const widths = columns.map((column, index) =>
    cells.reduce((width, row) => Math.max(width, row[index]!.length), column.length)
  );
  const line = (row: readonly string[]) =>
    row.map((cell, index) => cell.padEnd(widths[index]!)).join("  ").trimEnd();
  const head = style("bold", line(columns));
  return [head, line(widths.map((width) => "─".repeat(width))), ...cells.map(line)].join("\n");
}

function cut(text: string): string {
  return text.length <= cellLengthMax ? text : `${text.slice(0, cellLengthMax - 1)}…`;
}
