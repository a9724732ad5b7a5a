/** What isolates need to run components: their code, and what they see of the deployment's variables. */
import type { ComponentManifest, ModuleEntry } from "../isolate/protocol.ts";
import type { DeployedComponent, DeploymentRecord, PushedModule } from "./deployment.ts";

type Variables = Readonly<Record<string, string>>;

export interface ManifestSources {
  /** The user's variables and the built-in ones. */
  readonly variables: Variables;
  readonly builtInVariables: Variables;
  readonly entry: (module: PushedModule) => ModuleEntry;
}

/** Components of one definition share one list of modules. */
export function componentManifests(
  { definitions, components }: Pick<DeploymentRecord, "definitions" | "components">,
  { variables, builtInVariables, entry }: ManifestSources,
): ComponentManifest[] {
  const modules = new Map(
    (definitions ?? []).map((each) => [each.path, each.modules.map(entry)]),
  );
  return (components ?? []).map((component) => {
    const { id, parent, name, path, definition, args = {} } = component;
    return {
      ...{ id, parent, name, path, definition, args },
      modules: modules.get(definition)!,
      environmentVariables: {
        ...boundVariables(component, variables),
        ...mountedUrls(component, builtInVariables),
      },
      variableSources: variableSources(component, builtInVariables),
    };
  });
}

/** Its variables with the values they have now; those that are bound to an unset one are unset (components 9.5). */
function boundVariables({ env }: DeployedComponent, variables: Variables): Variables {
  const values = env.map(([name, binding]) => [
    name,
    binding.type === "value" ? binding.value : variables[binding.name],
  ]);
  return Object.fromEntries(values.filter(([, value]) => value !== undefined));
}

function variableSources({ env }: DeployedComponent, builtIn: Variables): Variables {
  const bound = env.flatMap(([name, binding]) =>
    binding.type === "envVar" ? [[name, binding.name] as const] : []
  );
  const own = Object.keys(builtIn).map((name) => [name, name] as const);
  return Object.fromEntries([...bound, ...own]);
}

/** A component whose routes begin somewhere builds its URLs from there. */
function mountedUrls({ httpPrefix }: DeployedComponent, builtIn: Variables): Variables {
  const { CONVEX_SITE_URL: site } = builtIn;
  if (httpPrefix === null || site === undefined) return builtIn;
  const url = `${site.replace(/\/$/, "")}${httpPrefix.replace(/\/$/, "")}`;
  return { ...builtIn, CONVEX_SITE_URL: url };
}
