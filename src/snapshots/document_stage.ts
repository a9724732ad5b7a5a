/** Turns documents of an import into what the writer commits. */
import {
  type Catalog,
  componentOf,
  isDatabaseIndex,
  type TableDefinition,
} from "../database/catalog.ts";
import { checkDocumentSize, encodeDocument } from "../database/document.ts";
import type { SchemaViolation } from "../database/write_set.ts";
import type { Environment } from "../environment.ts";
import type { ImportedDocument } from "../persistence/document_import.ts";
import { generateId, idTableNumber, randomIdBytes } from "../values/document_id.ts";
import { indexKeyOf } from "../values/index_key.ts";
import { parseDocument, type Value, type ValueObject } from "../values/value.ts";
import { at, importError } from "./import_error.ts";
import type { SourceDocument } from "./import_source.ts";

export class DocumentStage {
  readonly #catalog: Catalog;
  readonly #environment: Environment;
  #nextCreationTime: number;
  /** The first one. */
  pendingSchemaViolation: SchemaViolation | undefined;

  constructor(catalog: Catalog, environment: Environment) {
    this.#catalog = catalog;
    this.#environment = environment;
    this.#nextCreationTime = environment.nowMs();
  }

  /** @throws RequestError that names the document's place, when it cannot come in. */
  stage(table: TableDefinition, { fields: original, source }: SourceDocument): ImportedDocument {
    const { _id, _creationTime, ...fields } = original;
    const id = _id === undefined ? this.#newId(table) : checkedId(table, _id, source);
    const systemFields = {
      _id: id,
      _creationTime: this.#creationTime(_creationTime, source),
    };
    const json = at(source, "InvalidDocument", () => {
      const encoded = encodeDocument(fields, systemFields, original);
      if (table.name !== "_storage") checkDocumentSize(encoded);
      return encoded.json;
    });
    this.#checkSchemas(table, fields, source);
    const document = parseDocument(json);
    const indexes = this.#catalog.indexesOf(table.number);
    const addedKeys = indexes.filter(isDatabaseIndex)
      .map((index) => [index.id, indexKeyOf(index, document)] as const);
    const searchIndexes = indexes.filter(({ kind }) => kind === "search").map(({ id }) => id);
    return {
      write: {
        table: table.number,
        id,
        row: null,
        json,
        existed: false,
        removedKeys: [],
        addedKeys,
        keptKeys: [],
        ...searchIndexes.length > 0 && { changedSearchIndexes: searchIndexes },
      },
      source,
    };
  }

  #newId({ number }: TableDefinition): string {
    const environment = this.#environment;
    return generateId(number, environment.randomBytes(randomIdBytes), environment.nowMs());
  }

  /** Documents without one are as old as their place in the import says. */
  #creationTime(given: Value | undefined, source: string): number {
    if (given === undefined) return this.#nextCreationTime += 1 / 1024;
    if (typeof given === "number" && Number.isFinite(given)) return given;
    throw importError(
      "InvalidCreationTime",
      "_creationTime must be a number of milliseconds",
      source,
    );
  }

  #checkSchemas(table: TableDefinition, fields: ValueObject, source: string): void {
    const { name } = table;
    const tableName = this.#catalog.tableNames(componentOf(table));
    const problem = this.#catalog.documentValidator("active", table)?.check(fields, tableName);
    if (problem) {
      throw importError(
        "SchemaEnforcementError",
        `the document does not match the schema of table "${name}": ${problem}`,
        source,
      );
    }
    if (this.pendingSchemaViolation !== undefined) return;
    const pending = this.#catalog.documentValidator("pending", table)?.check(fields, tableName);
    if (!pending) return;
    this.pendingSchemaViolation = {
      component: componentOf(table),
      tableName: name,
      error: `New document in table "${name}" does not match the schema: ${pending}`,
    };
  }
}

/** @throws RequestError unless it is an id of this table. */
export function checkedId({ name, number }: TableDefinition, id: Value, source: string): string {
  const found = typeof id === "string" ? idTableNumber(id) : undefined;
  if (found === undefined) throw importError("InvalidId", `${JSON.stringify(id)} is no id`, source);
  if (found === number) return id as string;
  throw importError(
    "InvalidId",
    `the id ${id} is one of table number ${found}, but ${name} has number ${number}`,
    source,
  );
}
