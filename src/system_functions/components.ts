/** `_system/frontend/components`: the components of the app, unmounted ones included; the first is the app itself. */
import { componentPath } from "../database/component.ts";
import { parseValidator } from "../values/validator.ts";
import type { SystemModule } from "./system_query.ts";

const app = { id: "", name: null, path: "", args: {}, state: "active", httpPrefix: null };

export const components: SystemModule = {
  list: {
    args: parseValidator({ type: "object", value: {} }),
    /** A push, which is what changes it, ends every result. */
    run({ transaction }) {
      const { components = [] } = transaction.options.snapshot.catalog.data;
      return [
        app,
        ...components.map(({ id, name, state }) => ({
          ...app,
          id,
          name,
          path: componentPath(components, id),
          state,
        })),
      ];
    },
  },
};
