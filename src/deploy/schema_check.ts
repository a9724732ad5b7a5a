/** Checks the documents that exist already against a new schema (semantics 7.3). */
import { byCreationTimeIndexId, type SchemaTable } from "../database/catalog.ts";
import { appComponent, type ComponentId } from "../database/component.ts";
import type { SchemaViolation } from "../database/write_set.ts";
import type { Environment } from "../environment.ts";
import type { SnapshotReader } from "../persistence/persistence.ts";
import { type IndexKey, indexKeyOf, keySuccessor, lowestKey } from "../values/index_key.ts";
import { parseValidator, type Validator } from "../values/validator.ts";
import { covers, type ValidatorJson } from "../values/validator_cover.ts";
import { parseDocument } from "../values/value.ts";
import type { ParsedSchema } from "./schema_definition.ts";

/**
 * What is checked between two turns of the event loop: a millisecond or two, which every call waits for. Documents
 * come in batches because their sizes are not known before they are read.
 */
const chunk = { documentsMax: 100, bytesMax: 64 * 1024 };
const batchLength = 10;

export interface SchemaCheckOptions {
  readonly reader: SnapshotReader;
  readonly environment: Environment;
  /** Whose documents are checked. */
  readonly component: ComponentId;
  /** Enforced so far: what it guarantees is not checked again. */
  readonly active: ParsedSchema | null;
  /** True as soon as nobody needs the answer any more. */
  readonly isCancelled: () => boolean;
}

/**
 * The first document that contradicts `schema`, or null. Each chunk reads a snapshot of its own. That is
 * enough: creation times never change, and whoever writes a document meanwhile checks it against the pending schema.
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
      const checked = checkChunk(options, { name: table.tableName, validator, from });
      if ("error" in checked) return checked;
      from = checked.next;
      await nextTurn(options.environment);
    }
  }
  return null;
}

/** The tables whose documents may contradict `schema` even though they satisfy `active`. */
export function tablesToCheck(schema: ParsedSchema, active: ParsedSchema | null): SchemaTable[] {
  if (!schema.schemaValidation) return [];
  const enforcedTables = active?.schemaValidation ? active.tables : [];
  const enforced = new Map(enforcedTables.map((table) => [table.tableName, table.documentType]));
  return schema.tables.filter(({ tableName, documentType }) =>
    documentType !== null && !covers(documentType, enforced.get(tableName) ?? anything)
  );
}

const anything: ValidatorJson = { type: "any" };

interface Chunk {
  /** Of the table. */
  readonly name: string;
  readonly validator: Validator;
  readonly from: IndexKey;
}

function checkChunk(
  { reader, component }: SchemaCheckOptions,
  { name, validator, from }: Chunk,
): SchemaViolation | { readonly next: IndexKey | null } {
  const snapshot = reader.open();
  try {
    const { catalog } = snapshot;
    const table = catalog.tableNamed(component, name);
    if (table === undefined) return { next: null };
    const tableNames = catalog.tableNames(component);
    const index = byCreationTimeIndexId(table.number);
    let lower = from;
    let documents = 0;
    let bytes = 0;
    while (documents < chunk.documentsMax && bytes < chunk.bytesMax) {
      const batch = snapshot.scan(index, { lower, upper: null }, "asc", batchLength);
      for (const { json } of batch) {
        const { _id, _creationTime, ...fields } = parseDocument(json);
        const problem = validator.check(fields, tableNames);
        if (problem !== null) {
          return {
            error:
              `Document with ID "${_id}" in table "${name}" does not match the schema: ${problem}`,
            ...component !== appComponent && { component },
            tableName: name,
          };
        }
        documents++;
        bytes += json.length;
        lower = keySuccessor(
          indexKeyOf(byCreationTime, { _id: _id!, _creationTime: _creationTime! }),
        );
      }
      if (batch.length < batchLength) return { next: null };
    }
    return { next: lower };
  } finally {
    snapshot.close();
  }
}

const byCreationTime = { name: "by_creation_time", fields: [] };

function nextTurn(environment: Environment): Promise<void> {
  return new Promise((resolve) => environment.setTimer(0, resolve));
}
