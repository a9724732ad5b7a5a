import type { ComponentId } from "../database/component.ts";
import type { QueryExecution } from "./query_entry.ts";

/**
 * Queries that the server answers itself, for administrators: `_system/…` (deploy-protocol 7). They are cached,
 * watched and invalidated like those of the app.
 */
export interface SystemQueries {
  /** Their paths: `_system/dir/mod:fn`. */
  readonly paths: readonly string[];
  /**
   * Runs one of them on the newest snapshot, about one component.
   * @param args JSON text of the arguments array `[{…}]`, convex_encoded_json.
   */
  run(path: string, args: string, component: ComponentId): QueryExecution;
  /** A component by its path, unmounted ones included: their data can still be looked at. */
  componentAt(path: string): ComponentId | undefined;
}

/** For servers that have none. */
export const noSystemQueries: SystemQueries = {
  paths: [],
  run(path) {
    throw new Error(`There is no system query ${path}`);
  },
  componentAt: () => undefined,
};
