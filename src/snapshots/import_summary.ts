/** What an import is about to do, for the person who has to agree (deploy-protocol 10). */
import type { TableCount } from "./staged_import.ts";

export interface Confirmation {
  readonly message: string;
  /** Whether something is deleted. */
  readonly isRequired: boolean;
}

export function confirmationOf(counts: readonly TableCount[]): Confirmation {
  const rows = counts.filter(({ created, deleted }) => created + deleted > 0)
    .map(({ table, created, deleted, existing }) => [
      table,
      String(created),
      existing === 0 ? String(deleted) : `${deleted} of ${existing}`,
    ]);
  const table = [["table", "create", "delete"], ...rows];
  const widths = [0, 1, 2].map((i) => Math.max(...table.map((row) => row[i]!.length)));
  const [head, ...body] = table.map((row) =>
    `  ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")}`.trimEnd()
  );
  const rule = `  ${widths.map((width) => "-".repeat(width)).join("-+-")}`;
  const message = [
    "Import change summary:",
    head,
    rule,
    ...body,
    "Once the import has started, it will run in the background.",
    "Interrupting `npx convex import` will not cancel it.",
  ].join("\n");
  return { message, isRequired: counts.some(({ deleted }) => deleted > 0) };
}
