/** Handlers whose code is loaded with the first request for one of them, to keep it off the start's path. */
import type { ApiHandler } from "./routes.ts";

export function lazyApi<Name extends string>(
  names: readonly Name[],
  load: () => Promise<Readonly<Record<Name, ApiHandler>>>,
): Record<Name, ApiHandler> {
  const handler = (name: Name): ApiHandler => async (request) =>
    await (await load())[name](request);
  const handlers = names.map((name) => [name, handler(name)]);
  return Object.fromEntries(handlers) as Record<Name, ApiHandler>;
}
