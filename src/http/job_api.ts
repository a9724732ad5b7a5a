/** Endpoints with which administrators cancel scheduled functions (dashboard-api 3). */
import { z } from "zod";
import { DeveloperError, RequestError } from "../errors.ts";
import { type ApiRequest, badJsonBody } from "./api_request.ts";
import type { ApiHandlers } from "./routes.ts";

/** What an administrator can do with jobs; `ScheduledFunctions` of src/scheduler/ is the implementation. */
export interface JobControl {
  /** @throws DeveloperError when `id` is no id of a job. */
  cancel(id: string): Promise<void>;
  cancelAll(
    selection: { readonly path?: string; readonly fromMs?: number; readonly untilMs?: number },
  ): Promise<void>;
}

/** Nanoseconds since the epoch. */
const time = z.number().nullish();
const component = z.string().nullish();
const cancelBody = z.object({ id: z.string(), componentId: component });
const cancelAllBody = z.object({
  udfPath: z.string().nullish(),
  componentPath: component,
  componentId: component,
  startNextTs: time,
  endNextTs: time,
});

export function jobApi(jobs: JobControl) {
  return {
    async cancelJob(request) {
      await request.requireAdmin();
      const { id, componentId } = await parse(cancelBody, request);
      refuseComponent(componentId);
      try {
        await jobs.cancel(id);
      } catch (error) {
        if (!(error instanceof DeveloperError)) throw error;
        throw new RequestError("badRequest", error.code, error.message);
      }
      return new Response(null);
    },

    async cancelAllJobs(request) {
      await request.requireAdmin();
      const body = await parse(cancelAllBody, request);
      refuseComponent(body.componentId ?? body.componentPath);
      await jobs.cancelAll({
        ...body.udfPath != null && { path: body.udfPath },
        ...body.startNextTs != null && { fromMs: body.startNextTs / 1e6 },
        ...body.endNextTs != null && { untilMs: body.endNextTs / 1e6 },
      });
      return new Response(null);
    },
  } satisfies Partial<ApiHandlers>;
}

function refuseComponent(component: string | null | undefined): void {
  if (!component) return;
  throw new RequestError("badRequest", "ComponentNotFound", `There is no component ${component}.`);
}

async function parse<T>(type: z.ZodType<T>, request: ApiRequest): Promise<T> {
  const result = type.safeParse(await request.json());
  if (result.success) return result.data;
  throw badJsonBody(`Failed to parse the request body: ${z.prettifyError(result.error)}`);
}
