/**
 * What happens to every request: it goes to its route of the API, or else to the app. Each listener has
 * one; the second listener's has no routes.
 */
import { ApiRequest, type RequestServices } from "./api_request.ts";
import { allowOrigin, preflightResponse } from "./cors.ts";
import { errorResponse, methodNotAllowed } from "./responses.ts";
import type { ApiHandler, Route, RouteTable } from "./routes.ts";

export type RequestHandler = (
  request: Request,
  info: Deno.ServeHandlerInfo<Deno.NetAddr>,
) => Response | Promise<Response>;

/** A handler that knows who asks: `CallContext.client`. */
export type ClientHandler = (request: Request, client: string) => Response | Promise<Response>;

/** Runs the app's HTTP actions; `target` is the path with its query string, as the app sees it. */
export interface AppHandler {
  handle(request: Request, target: string, client: string): Promise<Response>;
}

/** HTTP actions are reachable under this prefix, too, whatever the API has at their path (http-api 56). */
const appPrefix = "/http/";

/** Serves the API at its paths and the app everywhere else. */
export function apiAndApp(
  routes: RouteTable,
  app: AppHandler,
  services: RequestServices,
): ClientHandler {
  return (request, client) => {
    const target = targetOf(request.url);
    const queryStart = target.indexOf("?");
    const path = queryStart < 0 ? target : target.slice(0, queryStart);
    const route = routes.find(path) ??
      (request.headers.has("upgrade") ? routes.findSocket(path) : undefined);
    if (route !== undefined) {
      const search = queryStart < 0 ? "" : target.slice(queryStart + 1);
      return answer(route, request, (raw) => new ApiRequest(raw, client, path, search, services));
    }
    const isPrefixed = path.startsWith(appPrefix);
    return app.handle(request, isPrefixed ? target.slice(appPrefix.length - 1) : target, client);
  };
}

/** Serves the app alone: the second listener. */
export function appOnly(app: AppHandler): ClientHandler {
  return (request, client) => app.handle(request, targetOf(request.url), client);
}

async function answer(
  route: Route,
  raw: Request,
  read: (raw: Request) => ApiRequest,
): Promise<Response> {
  if (raw.method === "OPTIONS") return preflightResponse(raw);
  let response: Response;
  try {
    const handler = handlerFor(route, raw.method);
    response = handler === undefined
      ? methodNotAllowed(raw.method, Object.keys(route).join(", "))
      : await handler(read(raw));
  } catch (error) {
    response = errorResponse(error);
  }
  // The answer to a WebSocket upgrade is finished, and has no page that reads it.
  return response.status === 101 ? response : allowOrigin(raw, response);
}

function handlerFor(route: Route, method: string): ApiHandler | undefined {
  switch (method) {
    case "GET":
    case "HEAD":
      return route.GET;
    case "POST":
      return route.POST;
    default:
      return undefined;
  }
}

/** Path and query string of `http://host/path?query`; the fragment never reaches a server. */
function targetOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("//") + 2);
  return start < 0 ? "/" : url.slice(start);
}
