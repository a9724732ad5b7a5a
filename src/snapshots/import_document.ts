/** What stands in documents of `_snapshot_imports`: the server's words, as the command lines read them. */
import { systemTables } from "../database/catalog.ts";
import type { Transaction } from "../database/transaction.ts";
import { RequestError } from "../errors.ts";
import { idTableNumber } from "../values/document_id.ts";
import type { ValueObject } from "../values/value.ts";
import { importError } from "./import_error.ts";
import type { ImportMode } from "./import_plan.ts";
import type { ImportFormat } from "./import_source.ts";

export interface ImportRequest {
  readonly format: ImportFormat;
  readonly mode: ImportMode;
  /** For every format but ZIP. */
  readonly tableName?: string | undefined;
  /** Absent or empty: the app. */
  readonly componentPath?: string | undefined;
}

const modeNames = {
  requireEmpty: "RequireEmpty",
  append: "Append",
  replace: "Replace",
  replaceAll: "ReplaceAll",
} as const;
const formatNames = {
  csv: "csv",
  jsonLines: "jsonl",
  jsonArray: "json_array",
  zip: "zip",
} as const;

/** @throws RequestError for a request that contradicts itself. */
export function checkRequest({ format, tableName }: ImportRequest): void {
  if ((format === "zip") === (tableName === undefined)) return;
  throw importError(
    "InvalidImport",
    format === "zip" ? "A ZIP names its tables itself." : "`tableName` is needed for this format.",
  );
}

/** The request that led to a document. */
export function requestOf({ mode, format, component_path }: ValueObject): ImportRequest {
  const { format: name, table } = format as ValueObject;
  return {
    mode: nameOf(modeNames, mode as string),
    format: nameOf(formatNames, name as string),
    tableName: table as string | undefined,
    componentPath: component_path as string | undefined,
  };
}

/** The fields of the document of a new import. */
export function uploadedImport(
  { mode, format, tableName, componentPath = "" }: ImportRequest,
): ValueObject {
  return {
    state: { state: "uploaded" },
    mode: modeNames[mode],
    format: {
      format: formatNames[format],
      ...tableName !== undefined && { table: tableName },
    },
    component_path: componentPath,
    requestor: "snapshotImport",
  };
}

function nameOf<Name extends string>(names: Readonly<Record<Name, string>>, value: string): Name {
  return (Object.keys(names) as Name[]).find((name) => names[name] === value)!;
}

export function unfinishedImports({ system }: Transaction): ValueObject[] {
  return system.openQuery({
    source: { type: "FullTableScan", tableName: "_snapshot_imports", order: "asc" },
    operators: [],
  }).collect().filter(isUnfinished);
}

export function isUnfinished(document: ValueObject): boolean {
  return !["completed", "failed"].includes(stateOf(document));
}

/** The name of the state. */
export function stateOf({ state }: ValueObject): string {
  return (state as ValueObject).state as string;
}

/** The state of an import that has failed. */
export function failed(message: string): ValueObject {
  return { state: "failed", error_message: message };
}

/** @throws RequestError unless `document`, of this id, is one. */
export function mustBeImport(id: string, document: ValueObject | null): ValueObject {
  if (document !== null && idTableNumber(id) === systemTables._snapshot_imports) return document;
  throw new RequestError(
    "badRequest",
    "ImportNotFound",
    `There is no import ${JSON.stringify(id)}.`,
  );
}
