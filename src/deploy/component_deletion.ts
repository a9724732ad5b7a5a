/**
 * Deletes a component for good, with those that it uses (components 5): its documents bit by bit, between other
 * commits, then tables and indexes. A crash in between leaves an unmounted component with a part of its data, which
 * can be deleted again.
 */
import type { CommitterClient } from "../committer/protocol.ts";
import { type CatalogData, componentOf } from "../database/catalog.ts";
import type { ComponentId } from "../database/component.ts";
import { RequestError } from "../errors.ts";
import type { ServerTransactions } from "../persistence/server_transactions.ts";

export interface ComponentDeletionParts {
  readonly transactions: ServerTransactions;
  readonly committer: Pick<CommitterClient, "changeCatalog">;
}

/** What one transaction deletes: a few milliseconds, in which no other commit is decided. */
const batch = { documentsMax: 200, bytesMax: 1024 * 1024 };

/**
 * To be called while no push can finish, which might mount it again.
 * @throws RequestError when there is no such component, or it is in use.
 */
export async function deleteComponent(
  { transactions, committer }: ComponentDeletionParts,
  id: ComponentId,
): Promise<void> {
  const catalog = () => transactions.read(({ options }) => options.snapshot.catalog.data);
  const ids = withDescendants(catalog(), id);
  const isOurs = (table: CatalogData["tables"][number]) => ids.includes(componentOf(table));
  for (const table of catalog().tables.filter(isOurs)) {
    await deleteDocuments(transactions, table);
  }
  const { tables, indexes } = catalog();
  const numbers = new Set(tables.filter(isOurs).map(({ number }) => number));
  const dropIndexes = indexes.filter(({ table }) => numbers.has(table)).map(({ id }) => id);
  await committer.changeCatalog({ removeComponents: ids, dropIndexes });
}

async function deleteDocuments(
  transactions: ServerTransactions,
  table: CatalogData["tables"][number],
): Promise<void> {
  for (let isEmpty = false; !isEmpty;) {
    isEmpty = await transactions.write((transaction) => transaction.system.clear(table, batch));
  }
}

/** @throws RequestError unless it may be deleted. */
function withDescendants({ components = [] }: CatalogData, id: ComponentId): ComponentId[] {
  const component = components.find((component) => component.id === id);
  if (component === undefined) {
    throw new RequestError("notFound", "ComponentNotFound", `Component ${id} not found`);
  }
  if (component.state === "active") {
    throw new RequestError(
      "badRequest",
      "ComponentMustBeUnmounted",
      "Component must be unmounted before deletion",
    );
  }
  // Parents come before their children, and those of an unmounted component are unmounted, too.
  const ids = new Set([id]);
  for (const { id, parent } of components) if (ids.has(parent)) ids.add(id);
  return [...ids];
}
