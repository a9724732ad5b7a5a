/** The components of a push as the deployment keeps them, each with the id that it has for ever (components 5). */
import { appComponent, type Component, type ComponentId } from "../database/component.ts";
import type { ComponentNode } from "./component_check.ts";
import type { DeployedComponent } from "./deployment.ts";

/**
 * Parents before their children. A component that was there before under the same name of the same parent, be it
 * `known` as unmounted, is the same one, whichever definition it uses now.
 */
export function allocateComponents(
  app: ComponentNode,
  known: readonly Pick<Component, "id" | "parent" | "name">[],
  newId: () => ComponentId,
): DeployedComponent[] {
  const allocated: DeployedComponent[] = [];
  const visit = (node: ComponentNode, parent: ComponentId) => {
    for (const [name, child] of node.children) {
      const before = known.find((each) => each.parent === parent && each.name === name);
      const id = before?.id ?? newId();
      const { path, args, env, httpPrefix } = child;
      allocated.push({
        id,
        parent,
        name,
        path,
        definition: child.definition.path,
        ...Object.keys(args).length > 0 && { args },
        env,
        httpPrefix,
      });
      visit(child, id);
    }
  };
  visit(app, appComponent);
  return allocated;
}
