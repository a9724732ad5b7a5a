/** Endpoints that say which server this is, for everybody (http-api 3). */
import { plainText } from "./responses.ts";
import type { ApiHandlers } from "./routes.ts";

const echoBytesMax = 128 * 1024 * 1024;

export function serviceApi(version: string) {
  return {
    version: () => plainText(version),
    instanceName: (request) => plainText(request.services.instanceName),
    async echo({ raw, services }) {
      const contentType = raw.headers.get("content-type");
      const body = await services.bodies.bytes(raw, echoBytesMax);
      return new Response(body, {
        headers: contentType === null ? {} : { "content-type": contentType },
      });
    },
  } satisfies Partial<ApiHandlers>;
}
