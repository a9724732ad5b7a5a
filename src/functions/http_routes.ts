/** Which route of an app's `http.js` a request belongs to (http-api 65–68). */

/** As `HttpRouter.getRoutes()` lists it: a prefix route's path ends with `*`. */
export interface HttpRoute {
  readonly path: string;
  readonly method: string;
}

/**
 * The exact route for path and method, else the longest matching prefix. HEAD is served by GET routes.
 * `pathname` is percent-encoded, as in the URL.
 */
export function matchRoute(
  routes: readonly HttpRoute[],
  method: string,
  pathname: string,
): HttpRoute | undefined {
  const routed = method === "HEAD" ? "GET" : method;
  let best: HttpRoute | undefined;
  for (const route of routes) {
    if (route.method !== routed) continue;
    if (route.path === pathname) return route;
    if (!route.path.endsWith("*") || !pathname.startsWith(route.path.slice(0, -1))) continue;
    if (best === undefined || route.path.length > best.path.length) best = route;
  }
  return best;
}
