/** What a push learns about its modules (function-abi 21): evaluates each and looks at what it exports. */
import {
  type AnalysisResult,
  type AnalyzedModule,
  componentImportsFolder,
  definitionSuffix,
  type LogLine,
} from "../src/isolate/protocol.ts";
import { DefinitionExecution } from "./definition_execution.ts";
import { Execution } from "./execution.ts";
import { describeFailure, HostFailure } from "./failure.ts";
import { analyzeExports } from "./function_analysis.ts";
import { FunctionPositions } from "./function_positions.ts";
import type { IsolateServices } from "./isolate_services.ts";
import { Log } from "./log.ts";
import { ModuleInstances } from "./module_instances.ts";
import type { Exports, ModuleLoader } from "./module_loader.ts";

/** Lines printed while a module was evaluated that its error shows. */
const logLinesMax = 100;

type Analyze = (exports: Exports, path: string, positions: FunctionPositions) => AnalyzedModule;

const special: Readonly<Record<string, Analyze>> = {
  "schema.js": analyzeSchema,
  "auth.config.js": analyzeAuthConfig,
  "convex.config.js": analyzeDefinition,
};

/** Stops at the first module that is not in order. `only` is the path of the one to analyse. */
export function analyzeModules(
  services: IsolateServices,
  loader: ModuleLoader,
  callId: number,
  only?: string,
): AnalysisResult {
  const modules: Record<string, AnalyzedModule> = {};
  for (const { path, environment } of loader.manifest.modules) {
    if (environment !== "isolate" || isImportedOnly(path)) continue;
    if (only !== undefined && path !== only) continue;
    const log = new Log();
    try {
      modules[path] = inRealm(services, loader, callId, path, log);
    } catch (error) {
      return { kind: "failure", module: path, message: failureText(error, log.take()) };
    }
  }
  return { kind: "success", modules };
}

function isImportedOnly(path: string): boolean {
  return path.startsWith("_deps/") || path.startsWith(componentImportsFolder);
}

function inRealm(
  { realm, heartbeat, limits }: IsolateServices,
  loader: ModuleLoader,
  callId: number,
  path: string,
  log: Log,
): AnalyzedModule {
  const { importSeed, importTimeMs, environmentVariables } = loader.manifest;
  heartbeat.begin(callId, limits.analysisTimeoutMs, Infinity);
  const isDefinition = isComponentDefinition(path) || path === "convex.config.js";
  const ExecutionClass = isDefinition ? DefinitionExecution : Execution;
  realm.enter(
    new ExecutionClass({
      kind: "analysis",
      nowMs: importTimeMs,
      seed: importSeed,
      importSeed,
      importTimeMs,
      environmentVariables: variablesFor(path, environmentVariables),
      log,
    }),
  );
  try {
    const exports = new ModuleInstances(loader, false).import(path);
    const positions = new FunctionPositions(loader.get(path));
    const analyze = isComponentDefinition(path) ? analyzeDefinition : special[path];
    return (analyze ?? analyzeFunctions)(exports, path, positions);
  } finally {
    realm.leave();
    heartbeat.end();
  }
}

function isComponentDefinition(path: string): boolean {
  return path.endsWith(definitionSuffix);
}

/** Settings must not depend on what can change without a push. */
function variablesFor(
  path: string,
  variables: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const refusing = (message: (name: string) => string) =>
    new Proxy(variables, {
      getOwnPropertyDescriptor: () => ({ configurable: true }),
      get(_target, name) {
        const value = variables[String(name)];
        if (path !== "auth.config.js" || value === undefined) {
          throw new HostFailure(message(String(name)));
        }
        return value;
      },
    });
  if (isComponentDefinition(path)) {
    return refusing((name) =>
      `Environment variable ${name} cannot be read by the definition of a component: declare it with \`defineComponent(name, { env })\``
    );
  }
  switch (path) {
    case "schema.js":
      return refusing(() => "Environment variables unsupported when evaluating schema");
    case "auth.config.js":
      return refusing((name) =>
        `Environment variable ${name} is used in auth config file but its value was not set`
      );
    default:
      return variables;
  }
}

function analyzeFunctions(
  exports: Exports,
  path: string,
  positions: FunctionPositions,
): AnalyzedModule {
  return {
    functions: analyzeExports(exports, path, positions),
    httpRoutes: path === "http.js" ? analyzeRouter(exports.default) : null,
    crons: path === "crons.js" ? analyzeCrons(exports.default) : null,
    exported: null,
  };
}

function analyzeRouter(router: unknown): AnalyzedModule["httpRoutes"] {
  if (router === undefined) {
    throw new HostFailure('Couldn\'t find default export in module "http.js".');
  }
  const { isRouter, getRoutes } = Object(router) as {
    isRouter?: unknown;
    getRoutes?: () => [string, string, unknown][];
  };
  if (isRouter !== true || typeof getRoutes !== "function") {
    throw new HostFailure("The default export of `convex/http.js` is not a Router.");
  }
  return getRoutes.call(router).map(([path, method]) => ({ path, method }));
}

function analyzeCrons(crons: unknown): string {
  const { isCrons, export: exportCrons } = Object(crons) as {
    isCrons?: unknown;
    export?: () => string;
  };
  if (isCrons !== true || typeof exportCrons !== "function") {
    throw new HostFailure("The default export of `convex/crons.js` is not a Crons object.");
  }
  return exportCrons.call(crons);
}

function analyzeSchema(exports: Exports): AnalyzedModule {
  if (exports.default === undefined) {
    throw new HostFailure(
      "Schema file missing default export. To learn more, see the schema documentation at https://docs.convex.dev/database/schemas.",
    );
  }
  return settings(
    exportOf(
      exports.default,
      "Default export from schema file isn't a Convex schema. To learn more, see the schema documentation at https://docs.convex.dev/database/schemas.",
    ),
  );
}

function analyzeDefinition(exports: Exports): AnalyzedModule {
  const { default: definition, ...others } = exports;
  if (definition === undefined) throw new HostFailure("missing default export");
  if (typeof definition !== "object" || definition === null) {
    throw new HostFailure("the default export is not an object");
  }
  if (Object.keys(others).length > 0) {
    throw new HostFailure("`convex.config.ts` has more than one export");
  }
  const problem = "missing `export` property on the default export of `convex.config.ts`";
  return settings(JSON.stringify(exportOf(definition, problem)));
}

function analyzeAuthConfig(exports: Exports): AnalyzedModule {
  if (exports.default === undefined) {
    throw new HostFailure("auth config file is missing default export");
  }
  return settings(JSON.stringify(exports.default));
}

function exportOf(value: unknown, problem: string): unknown {
  const { export: exportValue } = Object(value) as { export?: () => unknown };
  if (typeof exportValue !== "function") throw new HostFailure(problem);
  return exportValue.call(value);
}

function settings(exported: unknown): AnalyzedModule {
  return { functions: [], httpRoutes: null, crons: null, exported: String(exported) };
}

function failureText(error: unknown, logLines: readonly LogLine[]): string {
  const { message, frames } = describeFailure(error);
  const text = [message, ...frames].join("\n");
  if (logLines.length === 0) return text;
  const printed = logLines.slice(-logLinesMax)
    .map(({ level, messages }) => `[${level}] ${messages.join(" ")}`);
  return `${text}\n\n${printed.join("\n")}`;
}
