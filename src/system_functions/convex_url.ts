/** `_system/cli/convexUrl`: where clients reach the deployment; `npx convex function-spec` names it. */
import { parseValidator } from "../values/validator.ts";
import type { SystemModule } from "./system_query.ts";

const args = parseValidator({ type: "object", value: {} });

export const convexUrl: SystemModule = {
  cloudUrl: { args, run: ({ urls }) => urls.cloud },
  siteUrl: { args, run: ({ urls }) => urls.site },
};
