/** What actions ask the server for, from the parts of the server that do it. */
import type { FileStorage } from "../file_storage/file_storage.ts";
import type { HostServices } from "../functions/host_services.ts";
import type { SnapshotReader } from "../persistence/persistence.ts";
import type { ScheduledFunctions } from "../scheduler/scheduled_functions.ts";
import type { VectorSearch } from "../vector_search/vector_search.ts";
import { actionFiles } from "./file_services.ts";

export interface HostServiceParts {
  readonly vectorSearch: VectorSearch;
  readonly reader: SnapshotReader;
  /** These are made later than what runs actions, and are there when one does. */
  readonly scheduler: () => ScheduledFunctions;
  readonly files: () => FileStorage;
}

export function hostServices(
  { vectorSearch, reader, scheduler, files }: HostServiceParts,
): HostServices {
  return {
    ...actionFiles(files),
    schedule: (job, caller) => scheduler().schedule(job, caller),
    cancelJob: (id, { component }) => scheduler().cancel(id, component),
    searchVectors: (query, { component }) => vectorSearch.search(query, component),
    tableNames({ component }) {
      const snapshot = reader.open();
      const tables = snapshot.catalog.tablesOf(component);
      snapshot.close();
      return tables.map(({ number, name }) => [number, name]);
    },
  };
}
