/** The system queries of this server, and how they run: on the main thread, in a transaction of their own. */
import { assert } from "../assert.ts";
import { type ComponentId, componentPath } from "../database/component.ts";
import { developerFailure, hostFailure } from "../functions/host_failures.ts";
import type { FunctionResult } from "../functions/functions.ts";
import type { QueryExecution } from "../functions/query_entry.ts";
import type { SystemQueries } from "../functions/system_queries.ts";
import type { ServerTransactions } from "../persistence/server_transactions.ts";
import { checkArguments } from "../values/validator.ts";
import { encodeValue, parseValue, type Value, type ValueObject } from "../values/value.ts";
import { components } from "./components.ts";
import { convexUrl } from "./convex_url.ts";
import { deployedModules } from "./deployed_modules.ts";
import { exports } from "./exports.ts";
import { queryImport } from "./imports.ts";
import { queryEnvironmentVariables } from "./query_environment_variables.ts";
import { getSchemas } from "./schemas.ts";
import { queryTable, tableData, tables, tableSize } from "./tables.ts";
import type { SystemModule, SystemQuery, SystemQueryContext } from "./system_query.ts";

const modules: Readonly<Record<string, SystemModule>> = {
  "_system/cli/convexUrl": convexUrl,
  "_system/cli/exports": exports,
  "_system/cli/modules": deployedModules,
  "_system/cli/queryEnvironmentVariables": queryEnvironmentVariables,
  "_system/cli/queryImport": queryImport,
  "_system/cli/queryTable": queryTable,
  "_system/cli/tableData": tableData,
  "_system/cli/tables": tables,
  "_system/cli/tableSize": tableSize,
  "_system/frontend/components": components,
  "_system/frontend/getSchemas": getSchemas,
};

export interface SystemQueriesParts {
  readonly transactions: Pick<ServerTransactions, "read">;
  readonly environmentVariables: () => Readonly<Record<string, string>>;
  readonly urls: () => SystemQueryContext["urls"];
  readonly deployedModules: () => SystemQueryContext["deployedModules"];
  readonly deployedComponents: () => SystemQueryContext["deployedComponents"];
}

export function createSystemQueries(parts: SystemQueriesParts): SystemQueries {
  const queries = new Map<string, SystemQuery>();
  for (const [module, exports] of Object.entries(modules)) {
    for (const [name, query] of Object.entries(exports)) queries.set(`${module}:${name}`, query);
  }
  return {
    paths: [...queries.keys()],
    run(path, args, component) {
      const query = queries.get(path);
      assert(query !== undefined, `${path} is one of the paths`);
      return execute(query, { args, component }, parts);
    },
    componentAt: (path) =>
      parts.transactions.read(({ options }) => {
        const { components = [] } = options.snapshot.catalog.data;
        return components.find(({ id }) => componentPath(components, id) === path)?.id;
      }),
  };
}

function execute(
  query: SystemQuery,
  { args, component }: { readonly args: string; readonly component: ComponentId },
  parts: SystemQueriesParts,
): QueryExecution {
  return parts.transactions.read((transaction) => {
    const context: SystemQueryContext = {
      transaction: transaction.ofComponent(component),
      environmentVariables: parts.environmentVariables(),
      urls: parts.urls(),
      deployedModules: parts.deployedModules(),
      deployedComponents: parts.deployedComponents(),
    };
    return {
      result: resultOf(query, args, context),
      timestamp: transaction.options.snapshot.timestamp,
      journal: null,
      reads: transaction.finish().reads,
      observedIdentity: false,
      // Some list them.
      observedVariables: null,
      observedTimeMs: null,
    };
  });
}

function resultOf(query: SystemQuery, json: string, context: SystemQueryContext): FunctionResult {
  const args = parseValue(json) as Value[];
  const problem = checkArguments(query.args, args, context.transaction.tableName);
  if (problem !== null) return { ok: false, failure: hostFailure(problem), logLines: [] };
  try {
    const value = query.run(context, args[0] as ValueObject);
    return { ok: true, value: encodeValue(value).json, logLines: [] };
  } catch (error) {
    const failure = developerFailure(error);
    if (failure === undefined) throw error;
    return { ok: false, failure, logLines: [] };
  }
}
