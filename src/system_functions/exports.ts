/** `_system/cli/exports`: what became of the export that `npx convex export` asked for (deploy-protocol 9). */
import { parseValidator } from "../values/validator.ts";
import type { SystemModule } from "./system_query.ts";

export const exports: SystemModule = {
  /** The newest one, or null. */
  getLatest: {
    args: parseValidator({ type: "object", value: {} }),
    run: ({ transaction }) =>
      transaction.system.openQuery({
        source: { type: "FullTableScan", tableName: "_exports", order: "desc" },
        operators: [],
      }).next(),
  },
};
