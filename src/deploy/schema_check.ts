/** Checks the documents that exist already against a new schema (semantics 7.3). */
import { byIdIndexId, type SchemaTable, type TableNumber } from "../database/catalog.ts";
import type { Environment } from "../environment.ts";
import type { SnapshotReader } from "../persistence/persistence.ts";
import { type IndexKey, indexKeyOf, keySuccessor, lowestKey } from "../values/index_key.ts";
import { parseValidator, type Validator } from "../values/validator.ts";
import { parseDocument } from "../values/value.ts";
import type { ParsedSchema } from "./schema_definition.ts";

/** Documents checked between two turns of the event loop: a few milliseconds of work. */
const chunkLength = 200;

export interface SchemaViolation {
  readonly error: string;
  readonly tableName: string | null;
}

export interface SchemaCheckOptions {
  readonly reader: SnapshotReader;
  readonly environment: Environment;
  /** Enforced so far: what it guarantees is not checked again. */
  readonly active: ParsedSchema | null;
  /** True as soon as nobody needs the answer any more. */
  readonly isCancelled: () => boolean;
}

/**
 * The first document that contradicts `schema`, or null. Each chunk reads a snapshot of its own. That is
 * enough: ids never change, and whoever writes a document meanwhile checks it against the pending schema.
 */
export async function findViolation(
  schema: ParsedSchema,
  options: SchemaCheckOptions,
): Promise<SchemaViolation | null> {
  for (const table of tablesToCheck(schema, options.active)) {
    const validator = parseValidator(table.documentType);
    let from: IndexKey | null = lowestKey;
    while (from !== null) {
      if (options.isCancelled()) return null;
      const chunk = checkChunk(options.reader, table.tableName, validator, from);
      if ("error" in chunk) return chunk;
      from = chunk.next;
      await nextTurn(options.environment);
    }
  }
  return null;
}

/** The tables whose documents may contradict `schema` even though they satisfy `active`. */
export function tablesToCheck(schema: ParsedSchema, active: ParsedSchema | null): SchemaTable[] {
  if (!schema.schemaValidation) return [];
  const enforced = new Map(
    active?.schemaValidation
      ? active.tables.map((table) => [table.tableName, JSON.stringify(table.documentType)])
      : [],
  );
  return schema.tables.filter(({ tableName, documentType }) =>
    documentType !== null && documentType.type !== "any" &&
    enforced.get(tableName) !== JSON.stringify(documentType)
  );
}

function checkChunk(
  reader: SnapshotReader,
  tableName: string,
  validator: Validator,
  from: IndexKey,
): SchemaViolation | { readonly next: IndexKey | null } {
  const snapshot = reader.open();
  try {
    const { catalog } = snapshot;
    const table = catalog.tableNamed(tableName);
    if (table === undefined) return { next: null };
    const nameOf = (number: number) => catalog.tableNumbered(number as TableNumber)?.name;
    const interval = { lower: from, upper: null };
    const stored = snapshot.scan(byIdIndexId(table.number), interval, "asc", chunkLength);
    let next: IndexKey | null = null;
    for (const { json } of stored) {
      const { _id, _creationTime, ...fields } = parseDocument(json);
      const problem = validator.check(fields, nameOf);
      if (problem !== null) {
        return {
          error:
            `Document with ID "${_id}" in table "${tableName}" does not match the schema: ${problem}`,
          tableName,
        };
      }
      next = keySuccessor(indexKeyOf(byId, { _id: _id! }));
    }
    return { next: stored.length < chunkLength ? null : next };
  } finally {
    snapshot.close();
  }
}

const byId = { name: "by_id", fields: [] };

function nextTurn(environment: Environment): Promise<void> {
  return new Promise((resolve) => environment.setTimer(0, resolve));
}
