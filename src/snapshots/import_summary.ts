/** What an import is about to do, for the person who has to agree (deploy-protocol 10). */
import type { TableCount } from "./staged_import.ts";

export interface Confirmation {
  readonly message: string;
  /** Whether something is deleted. */
  readonly isRequired: boolean;
}

export function confirmationOf(counts: readonly TableCount[]): Confirmation {
  const changes = counts.filter(({ created, deleted }) => created + deleted > 0);
  const rows = [["table", "create", "delete"], ...changes.map(row)];
  const widths = [0, 1, 2].map((i) => Math.max(...rows.map((row) => row[i]!.length)));
  const line = (row: readonly string[]) =>
    `  ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")}`.trimEnd();
  const byComponent = Map.groupBy(changes, ({ component }) => component);
  const message = [
    "Import change summary:",
    line(rows[0]!),
    `  ${widths.map((width) => "-".repeat(width)).join("-+-")}`,
    ...[...byComponent].flatMap(([component, changes]) => [
      ...component === "" ? [] : [`Component ${component}`],
      ...changes.map((change) => line(row(change))),
    ]),
    "Once the import has started, it will run in the background.",
    "Interrupting `npx convex import` will not cancel it.",
  ].join("\n");
  return { message, isRequired: counts.some(({ deleted }) => deleted > 0) };
}

function row({ table, created, deleted, existing }: TableCount): string[] {
  return [table, String(created), existing === 0 ? String(deleted) : `${deleted} of ${existing}`];
}
