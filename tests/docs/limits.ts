/** The tables of docs/limits.md, made of the numbers in the source. */
import { settings } from "../../src/config.ts";
import { formatBytes } from "../../src/values/limits.ts";
import { madePart } from "../support/made_part.ts";
import { root } from "../support/source_files.ts";

type Unit = "count" | "bytes" | "megabytes" | "ms" | "s" | "characters" | "years" | "days";

/** A constant of the source, or a setting by its variable. */
interface Limit {
  readonly of: string;
  readonly from: string;
  readonly unit: Unit;
}

/** `from` is `FILE NAME`, `FILE NAME.FIELD`, or a variable of src/config.ts. */
function limit(of: string, from: string, unit: Unit = "count"): Limit {
  return { of, from, unit };
}

const sections: Readonly<Record<string, readonly Limit[]>> = {
  "Values and documents": [
    limit("Size of a document", "src/values/limits.ts documentBytesMax", "bytes"),
    limit("Nesting of a document", "src/values/limits.ts documentNestingMax"),
    limit("Size of a value", "src/values/limits.ts valueBytesMax", "bytes"),
    limit("Nesting of a value", "src/values/limits.ts valueNestingMax"),
    limit("Elements of an array", "src/values/limits.ts arrayLengthMax"),
    limit("Fields of an object", "src/values/limits.ts objectFieldsMax"),
    limit("Name of a field", "src/values/limits.ts fieldNameLengthMax", "characters"),
    limit(
      "Name of a table, index or function",
      "src/values/limits.ts identifierLengthMax",
      "characters",
    ),
  ],
  "One query or mutation": [
    limit("Time it computes", "HULL_FUNCTION_TIMEOUT_MS", "ms"),
    limit("Time the database works for it", "HULL_DATABASE_TIMEOUT_S", "s"),
    limit("Documents read", "HULL_DOCUMENTS_READ_MAX"),
    limit("Bytes read", "HULL_BYTES_READ_MAX", "bytes"),
    limit("Index ranges read", "HULL_INTERVALS_READ_MAX"),
    limit("Documents written", "HULL_DOCUMENTS_WRITTEN_MAX"),
    limit("Bytes written", "HULL_BYTES_WRITTEN_MAX", "bytes"),
    limit("Functions scheduled", "runtime/transaction_budgets.ts jobsMax"),
    limit(
      "Arguments of one scheduled function",
      "runtime/transaction_budgets.ts scheduledArgumentBytesMax",
      "bytes",
    ),
    limit(
      "Arguments of all of them together",
      "runtime/transaction_budgets.ts jobArgumentBytesMax",
      "bytes",
    ),
    limit("Runs after write conflicts", "HULL_MUTATION_RETRIES_MAX"),
    limit("Documents asked for in one page", "src/database/pagination.ts pageSizeMax"),
    limit("Operators of one query", "runtime/ctx/query.ts operatorsMax"),
  ],
  "Any call": [
    limit("Arguments, and result", "runtime/call_values.ts callBytesMax", "bytes"),
    limit("Functions that call each other, deep", "runtime/function_run.ts depthMax"),
    limit("Lines logged", "runtime/log.ts linesMax"),
    limit("Length of a logged line", "runtime/log.ts lineBytesMax", "bytes"),
    limit("Memory of an isolate", "HULL_ISOLATE_HEAP_MIB", "megabytes"),
    limit("Wait for an isolate", "HULL_QUEUE_WAIT_MS", "ms"),
  ],
  "Actions": [
    limit("Time of an action or HTTP action", "HULL_ACTION_TIMEOUT_S", "s"),
    limit("Time of a Node action", "HULL_NODE_ACTION_TIMEOUT_S", "s"),
    limit("Actions at the same time", "HULL_ACTION_ISOLATES_MAX"),
    limit("Node actions at the same time", "HULL_NODE_ACTIONS_MAX"),
    limit("Request or response body of an HTTP action", "HULL_HTTP_ACTION_BODY_BYTES_MAX", "bytes"),
    limit("Lifetime of an upload URL", "src/database/storage_urls.ts uploadTokenLifetimeMs", "ms"),
  ],
  "Schema": [
    limit("Tables", "src/deploy/schema_definition.ts tablesMax"),
    limit("Indexes of a table", "src/deploy/schema_definition.ts indexesPerTableMax"),
    limit("Fields of an index", "src/deploy/schema_definition.ts indexFieldsMax"),
    limit(
      "Filter fields of a search or vector index",
      "src/deploy/schema_definition.ts filterFieldsMax",
    ),
    limit(
      "Dimensions of a vector, at least",
      "src/deploy/schema_definition.ts vectorDimensions.min",
    ),
    limit(
      "Dimensions of a vector, at most",
      "src/deploy/schema_definition.ts vectorDimensions.max",
    ),
  ],
  "Search": [
    limit(
      "Words of a search; further ones are ignored",
      "src/database/search/search_query.ts tokensMax",
    ),
    limit("Filters of a search", "src/database/search/search_query.ts filtersMax"),
    limit("Results of a full-text search", "src/database/search/search_scan.ts candidatesMax"),
    limit("Words that a prefix stands for", "src/database/search/search_scan.ts expansionsMax"),
    limit(
      "Length of a word; longer ones are ignored",
      "src/database/search/tokens.ts tokenBytesMax",
      "bytes",
    ),
    limit("Results of a vector search", "src/vector_search/vector_query.ts limitMax"),
    limit("Conditions of a vector search", "src/vector_search/vector_query.ts conditionsMax"),
  ],
  "Code, variables and schedules": [
    limit(
      "Bundled code of the default runtime",
      "src/deploy/bundle_size.ts bundleBytesMax",
      "bytes",
    ),
    limit("Modules of an app", "src/deploy/pushed_modules.ts modulesMax"),
    limit("External packages, compressed", "src/deploy/external_packages.ts zippedMax", "bytes"),
    limit("External packages on disk", "src/deploy/external_packages.ts unzippedMax", "bytes"),
    limit("Time to load one module in a push", "HULL_ANALYSIS_TIMEOUT_MS", "ms"),
    limit("Environment variables", "src/deploy/environment_variables.ts variablesMax"),
    limit("Name of a variable", "src/deploy/environment_variables.ts nameLengthMax", "characters"),
    limit("Value of a variable", "src/deploy/environment_variables.ts valueBytesMax", "bytes"),
    limit("All variables together", "src/deploy/environment_variables.ts totalBytesMax", "bytes"),
    limit(
      "How far away a function may be scheduled",
      "src/database/scheduled_jobs.ts yearsMax",
      "years",
    ),
    limit("Scheduled functions at the same time", "HULL_SCHEDULED_FUNCTIONS_MAX"),
  ],
  "Clients": [
    limit("Body of a call over HTTP", "HULL_REQUEST_BODY_BYTES_MAX", "bytes"),
    limit("Message over a WebSocket", "HULL_SOCKET_MESSAGE_BYTES_MAX", "bytes"),
    limit("Queries of one WebSocket", "src/sync/connection_state.ts queriesMax"),
    limit("Mutations waiting on one WebSocket", "HULL_SOCKET_MUTATIONS_MAX"),
    limit("Actions in flight on one WebSocket", "HULL_SOCKET_ACTIONS_MAX"),
    limit("Silence of a WebSocket", "HULL_SOCKET_IDLE_TIMEOUT_S", "s"),
    limit("Requests of one address worked on at a time", "HULL_ADDRESS_REQUESTS_MAX"),
    limit("WebSockets of one address", "HULL_ADDRESS_SOCKETS_MAX"),
    limit("Age of a timestamp that can be read", "HULL_HISTORY_S", "s"),
    limit("Length of a sign-in token", "src/auth/unverified_token.ts tokenLengthMax", "characters"),
  ],
};

/** Markdown, with the comments that mark where it begins and ends. */
export function limitTables(): string {
  const tables = Object.entries(sections).map(([title, limits]) =>
    [
      `## ${title}`,
      "",
      "| limit | | setting |",
      "| --- | --- | --- |",
      ...limits.map(({ of, from, unit }) => {
        const isSetting = !from.includes(" ");
        const value = isSetting ? defaultOf(from) : constantOf(from);
        return `| ${of} | ${format(value, unit)} | ${isSetting ? `\`${from}\`` : ""} |`;
      }),
    ].join("\n")
  );
  return madePart("the source", tables.join("\n\n"));
}

function defaultOf(variable: string): number {
  const setting = Object.values(settings).find((setting) => setting.variable === variable);
  if (setting === undefined) throw new Error(`src/config.ts has no ${variable}`);
  return setting.defaultValue;
}

/** Constants that bound one file are exported to nobody, so they are read where they stand. */
function constantOf(from: string): number {
  const [path, name] = from.split(" ") as [string, string];
  const [constant, field] = name.split(".");
  const source = Deno.readTextFileSync(root + path);
  const definition = new RegExp(`\\bconst ${constant} = (.+);`).exec(source)?.[1];
  const text = field === undefined
    ? definition
    : new RegExp(`\\b${field}: ([\\d_]+)`).exec(definition ?? "")?.[1];
  const factors = text?.replaceAll("_", "").replace("mebibyte", "1048576").split(" * ").map(Number);
  if (factors === undefined || factors.some(Number.isNaN)) {
    throw new Error(`${path} has no number ${name}: mend tests/docs/limits.ts`);
  }
  return factors.reduce((product, factor) => product * factor, 1);
}

function format(value: number, unit: Unit): string {
  switch (unit) {
    case "bytes":
      return value % 1_000_000 === 0
        ? `${value / 1_000_000} MB`
        : formatBytes(value).replace(".00 ", " ");
    case "megabytes":
      return `${value} MiB`;
    case "ms":
      return value >= 60_000 ? `${value / 60_000} minutes` : `${value / 1000} s`;
    case "s":
      return value >= 600 ? `${value / 60} minutes` : `${value} s`;
    case "count":
      return value.toLocaleString("en-US");
    default:
      return `${value.toLocaleString("en-US")} ${unit}`;
  }
}
