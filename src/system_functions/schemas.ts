/** `_system/frontend/getSchemas`: the schema that writes are checked against. */
import { schemasOf } from "../database/catalog.ts";
import type { ComponentId } from "../database/component.ts";
import { parseValidator } from "../values/validator.ts";
import type { SystemModule } from "./system_query.ts";

export const getSchemas: SystemModule = {
  default: {
    args: parseValidator({
      type: "object",
      value: {
        componentId: {
          fieldType: { type: "union", value: [{ type: "string" }, { type: "null" }] },
          optional: true,
        },
      },
    }),
    /** As JSON text. A push, which is what changes it, ends every result, and a component may be deleted. */
    run({ transaction }, { componentId }) {
      const component = componentId as ComponentId | null ?? transaction.component;
      const { activeSchema } = schemasOf(transaction.readCatalog(), component);
      return activeSchema === null ? {} : { active: JSON.stringify(activeSchema) };
    },
  },
};
