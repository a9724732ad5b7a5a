/** Finds out what the component definitions of a push hold. Those that have not changed are not evaluated again. */
import { createHash } from "node:crypto";
import type { Isolates } from "../isolate/isolates.ts";
import { analyzeComponentCode, type CodeAnalysis, schemaPath } from "./analysis.ts";
import type { DeployedDefinition, DeploymentRecord, PushedModule } from "./deployment.ts";
import { exportTree } from "./function_exports.ts";
import type { LiveDeployment } from "./live_deployment.ts";
import type { ModuleStore } from "./module_store.ts";
import type { ComponentDefinitionBody } from "./push_request.ts";
import { bundledModule, collectComponentModules, saveModules } from "./pushed_modules.ts";
import { parseSchema } from "./schema_definition.ts";

export interface ComponentAnalyzerOptions {
  readonly isolates: Isolates;
  readonly live: LiveDeployment;
  readonly store: ModuleStore;
}

/** A definition with its analysis; what its `convex.config.js` says is known to others. */
export interface AnalyzedComponent {
  readonly code: CodeAnalysis;
  readonly deployed: Omit<DeployedDefinition, "httpMounts">;
}

/** @throws RequestError with what the component's author has to mend. */
export async function analyzeComponent(
  body: ComponentDefinitionBody,
  importPhase: Pick<DeploymentRecord["udfConfig"], "importSeed" | "importTimeMs">,
  { isolates, live, store }: ComponentAnalyzerOptions,
): Promise<AnalyzedComponent> {
  const { definitionPath: path, schema, udfServerVersion: serverVersion } = body;
  const modules = await collectComponentModules(body, store);
  const schemaModules = schema
    ? await saveModules([bundledModule({ ...schema, path: schemaPath })], store)
    : [];
  const evaluated = [...modules, ...schemaModules];
  const udfConfig = { serverVersion, ...importPhase };
  // A component reads no variables of the user while it is imported (components 2.4).
  const variables = live.builtInVariables;
  const analysisKey = digest([evaluated, udfConfig, variables]);
  const unchanged = live.record?.definitions?.find((each) =>
    each.path === path && each.analysisKey === analysisKey
  );
  const code = unchanged === undefined
    ? await analyzeComponentCode(
      isolates,
      live.manifestOf({ id: analysisKey, modules: evaluated, udfConfig }, variables),
      path,
    )
    : codeOf(unchanged);
  return {
    code,
    deployed: {
      ...{ path, serverVersion, modules, analysisKey },
      analysis: code.modules,
      schema: code.schema?.json ?? null,
    },
  };
}

function codeOf({ analysis, schema }: DeployedDefinition): CodeAnalysis {
  return {
    modules: analysis,
    schema: schema === null ? null : { json: schema, parsed: parseSchema(schema) },
    exports: exportTree(analysis),
  };
}

/** Files of modules are named by their content. */
function digest([modules, ...settings]: [readonly PushedModule[], ...unknown[]]): string {
  const files = modules.map(({ path, file }) => [path, file]);
  return createHash("sha256").update(JSON.stringify([files, ...settings])).digest("hex");
}
