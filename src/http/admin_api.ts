/** Endpoints for administrators of a deployment: keys, URLs, environment variables (deploy-protocol 2–5). */
import { z } from "zod";
import { parseJsonBody } from "./json_body.ts";
import { json } from "./responses.ts";
import type { ApiHandlers } from "./routes.ts";

/** What an administrator can change; `DeploymentSettings` of src/deploy/ is the implementation. */
export interface AdminSettings {
  /** Origins of the API and of the app's HTTP actions. */
  readonly urls: { readonly cloud: string; readonly site: string };
  readonly environmentVariables: Readonly<Record<string, string>>;
  /** All or none; a null value removes the variable. */
  changeEnvironmentVariables(
    changes: readonly { readonly name: string; readonly value: string | null }[],
  ): Promise<void>;
  /** Null restores the default. */
  changeUrl(which: "cloud" | "site", url: string | null): Promise<void>;
}

/** Everything that an admin key allows here; the names are the protocol's (deploy-protocol 2.4). */
const allowedOperations = [
  "Deploy",
  "ViewEnvironmentVariables",
  "WriteEnvironmentVariables",
  "PauseDeployment",
  "UnpauseDeployment",
  "ViewLogs",
  "ViewMetrics",
  "ViewIntegrations",
  "WriteIntegrations",
  "ViewData",
  "WriteData",
  "ViewBackups",
  "CreateBackups",
  "DownloadBackups",
  "DeleteBackups",
  "ImportBackups",
  "ActAsUser",
  "RunInternalQueries",
  "RunInternalMutations",
  "RunInternalActions",
  "RunTestQuery",
  "ViewAuditLog",
  "ViewUsageLimits",
  "WriteUsageLimits",
  "ViewUsage",
];

const environmentVariablesBody = z.object({
  changes: z.array(z.object({ name: z.string(), value: z.string().nullable() })),
});
const canonicalUrlBody = z.object({
  requestDestination: z.enum(["convexCloud", "convexSite"]),
  url: z.url({ protocol: /^https?$/ }).nullable(),
});

export function adminApi(settings: AdminSettings) {
  return {
    async checkAdminKey(request) {
      await request.requireAdmin();
      return json({ success: true, allowedOps: allowedOperations, isReadOnly: false });
    },

    async canonicalUrls(request) {
      await request.requireAdmin();
      const { cloud, site } = settings.urls;
      return json({ convexCloudUrl: cloud, convexSiteUrl: site });
    },

    async updateCanonicalUrl(request) {
      await request.requireAdmin();
      const { requestDestination, url } = await parseJsonBody(canonicalUrlBody, request);
      await settings.changeUrl(requestDestination === "convexCloud" ? "cloud" : "site", url);
      return new Response(null);
    },

    async updateEnvironmentVariables(request) {
      await request.requireAdmin();
      const { changes } = await parseJsonBody(environmentVariablesBody, request);
      await settings.changeEnvironmentVariables(changes);
      return new Response(null);
    },

    async listEnvironmentVariables(request) {
      await request.requireAdmin();
      return json({ environmentVariables: settings.environmentVariables });
    },
  } satisfies Partial<ApiHandlers>;
}
