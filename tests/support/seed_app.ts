/** The app made of the examples of the functions' documentation. */
import { api } from "./api.ts";
import type { ConvexHttpClient } from "convex/browser";
import type { AppServerOptions } from "./app_server.ts";
import { someNpmPackage } from "./some_npm_package.ts";

export const seedApp: AppServerOptions = {
  app: "tests/fixtures/seed",
  packages: ["@faker-js/faker"],
  files: someNpmPackage,
};

/** Inserts a document and returns its id. */
export async function insert(
  client: ConvexHttpClient,
  table: string,
  document: Record<string, unknown>,
): Promise<string> {
  return await client.mutation(api.testing.insert, { table, document });
}

/** All documents of a table, oldest first. */
export async function dump(
  client: ConvexHttpClient,
  table: string,
): Promise<Record<string, unknown>[]> {
  return await client.query(api.testing.dump, { table });
}
