/** `_system/frontend/components`: the components of the app, unmounted ones included; the first is the app itself. */
import { componentPath } from "../database/component.ts";
import { parseValidator } from "../values/validator.ts";
import type { SystemModule } from "./system_query.ts";

/** Arguments were what the first libraries had in place of variables. */
const app = { id: "", name: null, path: "", args: {}, state: "active", httpPrefix: null };

export const components: SystemModule = {
  list: {
    args: parseValidator({ type: "object", value: {} }),
    /** Each has tables, so it is a read. What else is said of them changes with a push, which ends every result. */
    run({ transaction, deployedComponents }) {
      const { components = [] } = transaction.readCatalog();
      const prefixes = new Map(deployedComponents.map(({ id, httpPrefix }) => [id, httpPrefix]));
      return [
        app,
        ...components.map(({ id, name, state }) => ({
          ...app,
          id,
          name,
          path: componentPath(components, id),
          state,
          httpPrefix: prefixes.get(id) ?? null,
        })),
      ];
    },
  },
};
