/** Handlers whose code is loaded with the first request for one of them, to keep it off the start's path. */
import type { ApiHandler, ApiHandlers } from "./routes.ts";

export function lazyApi<Name extends keyof ApiHandlers>(
  names: readonly Name[],
  load: () => Promise<Pick<ApiHandlers, Name>>,
): Pick<ApiHandlers, Name> {
  const handler = (name: Name): ApiHandler => async (request) =>
    await (await load())[name](request);
  const handlers = names.map((name) => [name, handler(name)]);
  return Object.fromEntries(handlers) as Pick<ApiHandlers, Name>;
}
