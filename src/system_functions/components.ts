/** `_system/frontend/components`: the components of the app, of which the first is the app itself. */
import { parseValidator } from "../values/validator.ts";
import type { SystemModule } from "./system_query.ts";

/** The app; no other is known yet. */
const app = { id: "", name: null, path: "", args: {}, state: "active", httpPrefix: null };

export const components: SystemModule = {
  list: { args: parseValidator({ type: "object", value: {} }), run: () => [app] },
};
