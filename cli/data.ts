/** `hull data`: tables and their documents. */
import type { ApiClient } from "./api_client.ts";
import { renderTable } from "./text_table.ts";
import { UsageError } from "./failure.ts";
import { nearest } from "./nearest.ts";

export interface DataOptions {
  /** Path of a component, in place of the app. */
  readonly component?: string;
  readonly limit: number;
  readonly order: "asc" | "desc";
  readonly format: "table" | "json" | "jsonl";
}

/** A document in JSON that keeps every value. */
type EncodedDocument = Readonly<Record<string, unknown>>;

interface Page {
  readonly page: readonly EncodedDocument[];
  readonly isDone: boolean;
  readonly continueCursor: string;
}

/** Tables that are the server's, and can be read like others. */
const systemTables = ["_storage", "_scheduled_functions"];
/** Documents that are asked for at a time: large ones must fit into one query's limits. */
const pageLength = 100;

/** Lists the tables, with how many documents they have. */
export async function listTables(
  client: ApiClient,
  { format, component }: DataOptions,
): Promise<number> {
  const names = await tableNames(client, component);
  const size = (tableName: string) =>
    client.query("_system/cli/tableSize:default", { tableName }, component) as Promise<number>;
  const tables = await Promise.all(
    names.map(async (table) => ({ table, documents: await size(table) })),
  );
  if (format === "json") console.log(JSON.stringify(tables, null, 2));
  else if (format === "jsonl") { for (const table of tables) console.log(JSON.stringify(table)); }
  else if (tables.length === 0) console.error("There are no tables yet.");
  else {
    const rows = tables.map(({ table, documents }) => [table, String(documents)]);
    console.log(renderTable(["table", "documents"], rows));
  }
  return 0;
}

/** Prints documents of one table. What is printed as JSON can be imported. */
export async function showTable(
  client: ApiClient,
  table: string,
  { limit, order, format, component }: DataOptions,
): Promise<number> {
  await mustHaveTable(client, table, component);
  const documents: EncodedDocument[] = [];
  let isDone = false;
  for (let cursor: string | null = null; !isDone && documents.length < limit;) {
    const numItems = Math.min(pageLength, limit - documents.length);
    const args = { table, order, paginationOpts: { cursor, numItems } };
    const page = await client.query("_system/cli/tableData:default", args, component) as Page;
    documents.push(...page.page);
    ({ isDone, continueCursor: cursor } = page);
  }
  print(documents, format);
  if (!isDone) {
    const which = order === "desc" ? "newest" : "oldest";
    console.error(`These are the ${which} ${documents.length}; --limit shows more.`);
  }
  return 0;
}

function print(documents: readonly EncodedDocument[], format: DataOptions["format"]): void {
  if (format === "json") return console.log(JSON.stringify(documents, null, 2));
  if (format === "jsonl") return documents.forEach((each) => console.log(JSON.stringify(each)));
  if (documents.length === 0) return console.error("There are no documents in this table.");
  const names = new Set(documents.flatMap(Object.keys));
  names.delete("_creationTime");
  // Ids first, times last: what is in between is the app's.
  const columns = [...names].sort((a, b) => Number(b === "_id") - Number(a === "_id"));
  columns.push("_creationTime");
  const cell = (document: EncodedDocument, name: string) =>
    name === "_creationTime"
      ? new Date(document[name] as number).toISOString()
      : name === "_id"
      ? String(document[name])
      : JSON.stringify(document[name]) ?? "";
  console.log(
    renderTable(columns, documents.map((document) => columns.map((name) => cell(document, name)))),
  );
}

async function mustHaveTable(
  client: ApiClient,
  table: string,
  component?: string,
): Promise<void> {
  const names = [...await tableNames(client, component), ...systemTables];
  if (names.includes(table)) return;
  const meant = nearest(table, names);
  const hint = meant === undefined ? "`hull data` lists the tables." : `Did you mean ${meant}?`;
  throw new UsageError(`There is no table ${table}. ${hint}`);
}

async function tableNames(client: ApiClient, component?: string): Promise<string[]> {
  const args = { paginationOpts: { cursor: null, numItems: 10_000 } };
  const { page } = await client.query("_system/cli/tables:default", args, component) as {
    page: readonly { readonly name: string }[];
  };
  return page.map(({ name }) => name).sort();
}
