/** How the server is, for whoever keeps it running: probes for everybody, metrics for who may see them. */
import { timingSafeEqual } from "node:crypto";
import { RequestError } from "../errors.ts";
import type { ApiRequest } from "./api_request.ts";
import { plainText } from "./responses.ts";
import type { ApiHandlers } from "./routes.ts";

export interface HealthOptions {
  /** Why the server should get no requests now; null when it can serve them. */
  readonly notReady: () => string | null;
  /** In Prometheus' format. */
  readonly metrics: () => string;
  /** Opens the metrics and nothing else; without one the admin key alone does. */
  readonly metricsToken?: string;
}

export function healthApi({ notReady, metrics, metricsToken }: HealthOptions) {
  return {
    /** That there is an answer says that the process is alive. */
    healthz: () => plainText("ok\n"),

    readyz() {
      const reason = notReady();
      return reason === null ? plainText("ready\n") : plainText(`${reason}\n`, 503);
    },

    async metrics(request) {
      if (!hasToken(request, metricsToken)) await requireAdmin(request);
      return new Response(metrics(), {
        headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
      });
    },
  } satisfies Partial<ApiHandlers>;
}

function hasToken({ raw }: ApiRequest, token: string | undefined): boolean {
  if (token === undefined) return false;
  const given = new TextEncoder().encode(raw.headers.get("authorization") ?? "");
  const wanted = new TextEncoder().encode(`Bearer ${token}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

async function requireAdmin(request: ApiRequest): Promise<void> {
  try {
    await request.requireAdmin();
  } catch (cause) {
    if (!(cause instanceof RequestError)) throw cause;
    throw new RequestError(
      "unauthenticated",
      "MetricsUnauthorized",
      "Metrics are for administrators: send `Authorization: Convex ADMIN_KEY`, or `Authorization: Bearer TOKEN` " +
        "with the token that the server's HULL_METRICS_TOKEN sets.",
      { cause },
    );
  }
}
