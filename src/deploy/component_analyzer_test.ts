import assert from "node:assert/strict";
import type { Isolates } from "../isolate/isolates.ts";
import type { AnalysisResult, DeploymentManifest } from "../isolate/protocol.ts";
import { analyzeComponent, type ComponentAnalyzerOptions } from "./component_analyzer.ts";
import type { DeployedDefinition } from "./deployment.ts";
import { ModuleStore } from "./module_store.ts";
import type { ComponentDefinitionBody } from "./push_request.ts";

const importPhase = { importSeed: "00", importTimeMs: 0 };
const empty: AnalysisResult = {
  kind: "success",
  modules: {
    "m.js": {
      functions: [{
        ...{ name: "f", udfType: "Query", visibility: "public" },
        ...{ args: null, returns: null, position: null },
      }],
      httpRoutes: null,
      crons: null,
      exported: null,
    },
  },
};

function component(source: string, path = "child"): ComponentDefinitionBody {
  return {
    definitionPath: path,
    definition: { path: "convex.config.js", source: "", environment: "isolate" },
    dependencies: [],
    functions: [{ path: "m.js", source, environment: "isolate" }],
    udfServerVersion: "1.48.0",
  };
}

Deno.test("components §14: analyzeComponent() evaluates a definition again only when something has changed", async () => {
  const dataFolder = await Deno.makeTempDir({ prefix: "hull-component-" });
  const evaluated: DeploymentManifest[] = [];
  let definitions: Omit<DeployedDefinition, "httpMounts">[] = [];
  let site = "http://one";
  const options = {
    store: new ModuleStore(dataFolder),
    isolates: {
      analyze(manifest: DeploymentManifest) {
        evaluated.push(manifest);
        return Promise.resolve(empty);
      },
    } as unknown as Isolates,
    live: {
      get record() {
        return { definitions };
      },
      get builtInVariables() {
        return { CONVEX_SITE_URL: site };
      },
      manifestOf: (record: object, environmentVariables: object) => ({
        ...record,
        environmentVariables,
      }),
    } as unknown as ComponentAnalyzerOptions["live"],
  };
  const analyze = async (body: ComponentDefinitionBody, phase = importPhase) => {
    const before = evaluated.length;
    const { code, deployed } = await analyzeComponent(body, phase, options);
    definitions = [deployed];
    assert.deepEqual([...code.exports.keys()], ["m"]);
    return evaluated.length > before;
  };
  try {
    assert.equal(await analyze(component("export const a = 1;")), true);
    assert.deepEqual(evaluated[0]!.environmentVariables, { CONVEX_SITE_URL: "http://one" });
    assert.equal(await analyze(component("export const a = 1;")), false);
    assert.equal(await analyze(component("export const a = 2;")), true);
    assert.equal(
      await analyze(component("export const a = 2;"), {
        ...importPhase,
        importTimeMs: 1,
      }),
      true,
    );
    site = "http://two";
    assert.equal(await analyze(component("export const a = 2;")), true);
    assert.equal(
      await analyze({ ...component("export const a = 2;"), udfServerVersion: "2.0.0" }),
      true,
    );
    assert.equal(await analyze(component("export const a = 2;", "other")), true);
  } finally {
    await Deno.remove(dataFolder, { recursive: true });
  }
});
