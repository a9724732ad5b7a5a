/** `_system/cli/modules`: the app's functions, which `npx convex run` lists when it does not find one. */
import type { AnalyzedFunction } from "../isolate/protocol.ts";
import { parseValidator } from "../values/validator.ts";
import { parseValue, type Value } from "../values/value.ts";
import type { SystemModule } from "./system_query.ts";

export const deployedModules: SystemModule = {
  /** Functions by module and name, then the routes of HTTP actions. */
  apiSpec: {
    args: parseValidator({ type: "object", value: {} }),
    run({ deployedModules }) {
      const modules = Object.entries(deployedModules).sort(([a], [b]) => a < b ? -1 : 1);
      const functions = modules.flatMap(([path, module]) =>
        module.functions.map((found) => functionSpec(path, found))
      );
      const routes = modules.flatMap(([, { httpRoutes }]) => httpRoutes ?? []);
      return [
        ...functions,
        ...routes.map(({ method, path }) => ({ functionType: "HttpAction", method, path })),
      ];
    },
  },
};

function functionSpec(
  path: string,
  { name, udfType, visibility, args, returns }: AnalyzedFunction,
): Value {
  return {
    identifier: `${path}:${name}`,
    functionType: udfType,
    visibility: { kind: visibility ?? "public" },
    args: validatorValue(args),
    returns: validatorValue(returns),
  };
}

/** A validator as a value; without one everything is let through. */
function validatorValue(json: string | null): Value {
  return json === null ? { type: "any" } : parseValue(json);
}
