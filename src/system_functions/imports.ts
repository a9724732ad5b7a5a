/** `_system/cli/queryImport`: what becomes of imports, which `npx convex import` waits for (deploy-protocol 10). */
import { systemTables } from "../database/catalog.ts";
import { idTableNumber } from "../values/document_id.ts";
import { parseValidator } from "../values/validator.ts";
import type { SystemModule } from "./system_query.ts";

const listed = 20;

export const queryImport: SystemModule = {
  /** One of them, or null. */
  default: {
    args: parseValidator({
      type: "object",
      value: { importId: { fieldType: { type: "string" }, optional: false } },
    }),
    run({ transaction }, { importId }) {
      const id = importId as string;
      if (idTableNumber(id) !== systemTables._snapshot_imports) return null;
      return transaction.system.get(id);
    },
  },
  /** The newest ones. */
  list: {
    args: parseValidator({ type: "object", value: {} }),
    run: ({ transaction }) =>
      transaction.system.openQuery({
        source: { type: "FullTableScan", tableName: "_snapshot_imports", order: "desc" },
        operators: [{ limit: listed }],
      }).collect(),
  },
};
