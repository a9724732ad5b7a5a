/**
 * The `convex.config.js` of the app and of its components as modules that one isolate evaluates together. A
 * definition imports those that it uses as `./_componentDeps/X`, where X is base64url of their path (components
 * 2.1); what it gets there is not their default export, but what the library asks of an installed component (2.3).
 */
import { Buffer } from "node:buffer";
import { RequestError } from "../errors.ts";
import { componentImportsFolder, definitionSuffix } from "../isolate/protocol.ts";
import type { BundledModule } from "./bundled_module.ts";
import { appDefinitionPath } from "./component_definition.ts";
import type { StartPushRequest } from "./push_request.ts";

export const appDefinitionModule = "convex.config.js";

interface Dependent {
  readonly dependencies: readonly string[];
}

/**
 * Paths of the definitions that the app uses, directly or not; each after those that it uses itself.
 * @throws RequestError when they use each other in a circle, or one is not there.
 */
export function definitionOrder(request: StartPushRequest): string[] {
  const definitions = new Map<string, Dependent>(
    request.componentDefinitions.map((each) => [each.definitionPath, each]),
  );
  const ordered = new Set<string>();
  const unfinished = new Set<string>();
  const visit = (path: string, { dependencies }: Dependent) => {
    unfinished.add(path);
    for (const dependency of dependencies) {
      if (ordered.has(dependency)) continue;
      if (unfinished.has(dependency)) {
        throw refused(
          "CyclicImport",
          `Found cyclic definition dependency: ${[...unfinished, dependency].join(" -> ")}`,
        );
      }
      const definition = definitions.get(dependency);
      if (definition === undefined) {
        throw refused(
          "InvalidDefinition",
          `The component \`${dependency}\` is used but not part of the push.`,
        );
      }
      visit(dependency, definition);
    }
    unfinished.delete(path);
    ordered.add(path);
  };
  visit(appDefinitionPath, request.appDefinition);
  ordered.delete(appDefinitionPath);
  return [...ordered];
}

/** The modules to evaluate for a component's definition, `config` being its `convex.config.js`. */
export function definitionModules(path: string, config: BundledModule): BundledModule[] {
  const encoded = encodePath(path);
  const installed = `import definition from "../${encoded}${definitionSuffix}";
const exported = definition.export();
export default {
  export: () => exported,
  componentDefinitionPath: ${JSON.stringify(path)},
  defaultName: exported.definitionType.name,
};
`;
  return [
    { path: componentImportsFolder + encoded, source: installed, environment: "isolate" },
    { ...config, path: definitionModule(path) },
  ];
}

/** Path of the module with a definition. */
export function definitionModule(path: string): string {
  return path === appDefinitionPath ? appDefinitionModule : encodePath(path) + definitionSuffix;
}

/** The definition that a module of this path holds; undefined when it holds none. */
export function definitionOfModule(module: string): string | undefined {
  if (module === appDefinitionModule) return appDefinitionPath;
  if (!module.endsWith(definitionSuffix)) return undefined;
  return Buffer.from(module.slice(0, -definitionSuffix.length), "base64url").toString();
}

function encodePath(path: string): string {
  return Buffer.from(path).toString("base64url");
}

function refused(code: string, message: string): RequestError {
  return new RequestError("badRequest", code, message);
}
