/** `_system/cli/queryEnvironmentVariables`: what `npx convex env get|list` shows, and `dev` waits for. */
import { parseValidator } from "../values/validator.ts";
import type { SystemModule } from "./system_query.ts";

const string = { fieldType: { type: "string" }, optional: false };

/** Variables are no documents, so they have neither an id nor a creation time; no client looks at these. */
export const queryEnvironmentVariables: SystemModule = {
  default: {
    args: parseValidator({ type: "object", value: {} }),
    run: ({ environmentVariables }) =>
      Object.entries(environmentVariables)
        .sort(([a], [b]) => a < b ? -1 : 1)
        .map(([name, value]) => ({ name, value })),
  },
  get: {
    args: parseValidator({ type: "object", value: { name: string } }),
    /** Those that the server sets, too: command lines before 1.48 ask for them. */
    run({ environmentVariables, urls }, args) {
      const name = String(args.name);
      const variables: Readonly<Record<string, string>> = {
        ...environmentVariables,
        CONVEX_CLOUD_URL: urls.cloud,
        CONVEX_SITE_URL: urls.site,
      };
      return Object.hasOwn(variables, name) ? { name, value: variables[name]! } : null;
    },
  },
};
