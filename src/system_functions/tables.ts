/** What `npx convex data` shows of tables, and `dev` and `deploy` ask of them (deploy-protocol 7). */
import { QueryJournal } from "../database/transaction.ts";
import { parseValidator } from "../values/validator.ts";
import type { ValueObject } from "../values/value.ts";
import type { SystemModule } from "./system_query.ts";

const string = { fieldType: { type: "string" }, optional: false };
const anything = { fieldType: { type: "any" }, optional: false };

/** The user's tables, all on one page. */
export const tables: SystemModule = {
  default: {
    args: parseValidator({ type: "object", value: { paginationOpts: anything } }),
    run({ transaction }) {
      const page = transaction.userTables().map(({ name }) => ({ name }));
      return { page, isDone: true, continueCursor: "end" };
    },
  },
};

/** A page of the documents of one table, in the order of their creation. */
export const tableData: SystemModule = {
  default: {
    args: parseValidator({
      type: "object",
      value: {
        table: string,
        order: {
          fieldType: {
            type: "union",
            value: [{ type: "literal", value: "asc" }, { type: "literal", value: "desc" }],
          },
          optional: false,
        },
        paginationOpts: anything,
      },
    }),
    run({ transaction }, { table, order, paginationOpts }) {
      const { cursor, numItems } = paginationOpts as ValueObject;
      const { page, isDone, continueCursor } = transaction.paginate(
        {
          source: {
            type: "FullTableScan",
            tableName: table as string,
            order: order as "asc" | "desc",
          },
          operators: [],
        },
        { cursor: (cursor ?? null) as string | null, pageSize: numItems as number },
        new QueryJournal(null),
      );
      return { page, isDone, continueCursor };
    },
  },
};

/** The number of documents in a table. */
export const tableSize: SystemModule = {
  default: {
    args: parseValidator({ type: "object", value: { tableName: string } }),
    run: ({ transaction }, { tableName }) => transaction.count(tableName as string),
  },
};

/** Something that is another one whenever the table has changed. */
export const queryTable: SystemModule = {
  default: {
    args: parseValidator({ type: "object", value: { tableName: string } }),
    run({ transaction }, { tableName }) {
      transaction.count(tableName as string);
      return transaction.options.snapshot.timestamp;
    },
  },
};
