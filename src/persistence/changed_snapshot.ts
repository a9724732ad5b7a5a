/** A snapshot as it will be when a change of tables has been made: new tables are empty. */
import { Catalog } from "../database/catalog.ts";
import type { Snapshot } from "../database/snapshot.ts";
import { catalogAfter } from "./catalog_change.ts";
import type { CatalogChange } from "./persistence.ts";

export function changedSnapshot(snapshot: Snapshot, change: CatalogChange): Snapshot {
  const { timestamp, decidedSequence, search } = snapshot;
  return {
    timestamp,
    decidedSequence,
    search,
    catalog: new Catalog(catalogAfter(snapshot.catalog.data, change)),
    get: (...args) => snapshot.get(...args),
    scan: (...args) => snapshot.scan(...args),
    count: (...args) => snapshot.count(...args),
    close: () => snapshot.close(),
  };
}
