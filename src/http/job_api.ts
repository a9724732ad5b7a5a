/** Endpoints with which administrators cancel scheduled functions (dashboard-api 3). */
import { z } from "zod";
import { appComponent, type ComponentId } from "../database/component.ts";
import { DeveloperError, RequestError } from "../errors.ts";
import { parseJsonBody } from "./json_body.ts";
import type { ApiHandlers } from "./routes.ts";

/** What an administrator can do with jobs; `ScheduledFunctions` of src/scheduler/ is the implementation. */
export interface JobControl {
  /** @throws DeveloperError when `id` is no id of a job of the component. */
  cancel(id: string, component: ComponentId): Promise<void>;
  cancelAll(selection: {
    readonly component: ComponentId;
    readonly path?: string;
    readonly componentPath?: string;
    readonly fromMs?: number;
    readonly untilMs?: number;
  }): Promise<void>;
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
      const { id, componentId } = await parseJsonBody(cancelBody, request);
      try {
        await jobs.cancel(id, componentOf(componentId));
      } catch (error) {
        if (!(error instanceof DeveloperError)) throw error;
        throw new RequestError("badRequest", error.code, error.message);
      }
      return new Response(null);
    },

    async cancelAllJobs(request) {
      await request.requireAdmin();
      const body = await parseJsonBody(cancelAllBody, request);
      await jobs.cancelAll({
        component: componentOf(body.componentId),
        ...body.udfPath != null && { path: body.udfPath },
        ...body.componentPath != null && { componentPath: body.componentPath },
        ...body.startNextTs != null && { fromMs: body.startNextTs / 1e6 },
        ...body.endNextTs != null && { untilMs: body.endNextTs / 1e6 },
      });
      return new Response(null);
    },
  } satisfies Partial<ApiHandlers>;
}

/** Of a component that does not exist there are no jobs. */
function componentOf(id: string | null | undefined): ComponentId {
  return id == null ? appComponent : id as ComponentId;
}
