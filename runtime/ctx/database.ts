/** `ctx.db` of queries and mutations. */
import { commitTimestamp } from "../../src/values/commit_timestamp.ts";
import { requireArgument } from "./arguments.ts";
import { QueryInitializer } from "./query.ts";
import type { TransactionHost } from "./transaction_host.ts";

/** `ctx.db` of queries. */
export function databaseReader(host: TransactionHost) {
  return { ...reader(host, false), system: reader(host, true) };
}

/** `ctx.db` of mutations. */
export function databaseWriter(host: TransactionHost) {
  return {
    ...databaseReader(host),
    ...writer(host),
    table: (table: string) => ({ ...tableReader(host, table, false), ...tableWriter(host, table) }),
    vars: { commitTs: commitTimestamp },
  };
}

function reader(host: TransactionHost, system: boolean) {
  return {
    /** `get(id)` or `get(table, id)` */
    get: (first: unknown, second?: unknown) =>
      second !== undefined ? get(host, second, system, first) : get(host, first, system),
    query: (table: string) => openTable(host, table, system),
    normalizeId: (table: string, id: string) => normalizeId(host, table, id, system),
    table: (table: string) => tableReader(host, table, system),
  };
}

function tableReader(host: TransactionHost, table: string, system: boolean) {
  return {
    get: (id: unknown) => get(host, id, system, table),
    query: () => openTable(host, table, system),
  };
}

async function get(host: TransactionHost, id: unknown, system: boolean, table?: unknown) {
  requireArgument(id, 1, "get", "id");
  if (typeof id !== "string") {
    throw new Error(
      `Invalid argument \`id\` for \`db.get\`, expected string but got '${typeof id}': ${id}`,
    );
  }
  const options = table === undefined ? { system } : { system, table: String(table) };
  return await host.operation((transaction) => transaction.get(id, options));
}

function openTable(host: TransactionHost, table: string, system: boolean): QueryInitializer {
  checkSide(table, system, "query");
  return new QueryInitializer(host, table);
}

function normalizeId(host: TransactionHost, table: string, id: string, system: boolean) {
  requireArgument(table, 1, "normalizeId", "tableName");
  requireArgument(id, 2, "normalizeId", "id");
  checkSide(table, system, "normalizeId");
  return host.perform((transaction) => transaction.normalizeId(table, id));
}

function checkSide(table: string, system: boolean, method: string): void {
  const isSystemTable = table.startsWith("_");
  if (isSystemTable === system) return;
  throw new Error(
    `${isSystemTable ? "System" : "User"} tables can only be accessed from db.${
      system ? "" : "system."
    }${method}().`,
  );
}

function writer(host: TransactionHost) {
  return {
    insert: (table: string, value: unknown) => insert(host, table, value),
    /** `patch(id, value)` or `patch(table, id, value)`, and likewise the others. */
    patch: (...[first, second, third]: unknown[]) =>
      third !== undefined ? patch(host, second, third, first) : patch(host, first, second),
    replace: (...[first, second, third]: unknown[]) =>
      third !== undefined ? replace(host, second, third, first) : replace(host, first, second),
    delete: (...[first, second]: unknown[]) =>
      second !== undefined ? remove(host, second, first) : remove(host, first),
  };
}

function tableWriter(host: TransactionHost, table: string) {
  return {
    insert: (value: unknown) => insert(host, table, value),
    patch: (id: unknown, value: unknown) => patch(host, id, value, table),
    replace: (id: unknown, value: unknown) => replace(host, id, value, table),
    delete: (id: unknown) => remove(host, id, table),
  };
}

async function insert(host: TransactionHost, table: string, value: unknown): Promise<string> {
  if (typeof table === "string" && table.startsWith("_")) {
    throw new Error("System tables (prefixed with `_`) are read-only.");
  }
  requireArgument(table, 1, "insert", "table");
  requireArgument(value, 2, "insert", "value");
  return await host.operation((transaction) => transaction.insert(table, value));
}

async function patch(host: TransactionHost, id: unknown, value: unknown, table?: unknown) {
  requireArgument(id, 1, "patch", "id");
  requireArgument(value, 2, "patch", "value");
  await host.operation((transaction) => {
    transaction.patch(id as string, value, table as string | undefined);
  });
}

async function replace(host: TransactionHost, id: unknown, value: unknown, table?: unknown) {
  requireArgument(id, 1, "replace", "id");
  requireArgument(value, 2, "replace", "value");
  await host.operation((transaction) => {
    transaction.replace(id as string, value, table as string | undefined);
  });
}

async function remove(host: TransactionHost, id: unknown, table?: unknown) {
  requireArgument(id, 1, "delete", "id");
  await host.operation((transaction) => {
    transaction.delete(id as string, table as string | undefined);
  });
}
