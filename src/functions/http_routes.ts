/**
 * Which router, and which of its routes, a request belongs to (http-api 65–68, components 11). A component's routes are
 * reached through mounts: paths of its parent.
 */
import { appComponent, type ComponentId } from "../database/component.ts";
import type { DeployedComponent, DeploymentRecord } from "../deploy/deployment.ts";

/** As `HttpRouter.getRoutes()` lists it: a prefix route's path ends with `*`. */
export interface HttpRoute {
  readonly path: string;
  readonly method: string;
}

/** The routes of the app or of one component. */
export interface HttpRouting {
  readonly component: ComponentId;
  /** Null without `http.js`. */
  readonly routes: readonly HttpRoute[] | null;
  /** `/p/`, where the app's own routes begin; null: at the root. */
  readonly prefix: string | null;
  /** Children by the path, `/p/`, under which their routes are. */
  readonly mounts: ReadonlyMap<string, HttpRouting>;
}

export interface RoutedRequest {
  readonly component: ComponentId;
  /** The path as the component's router sees it, percent-encoded. */
  readonly path: string;
  /** Absent when the component has a router but none of its routes matches; null when it has no router. */
  readonly route?: HttpRoute | null;
}

/** The routing of a deployment, from the app downwards. */
export function routingOf(record: DeploymentRecord): HttpRouting {
  const { analysis, httpMounts = {}, httpPrefix = null, components = [], definitions = [] } =
    record;
  const definitionAt = new Map(definitions.map((definition) => [definition.path, definition]));
  const mountsOf = (parent: ComponentId, mounts: Readonly<Record<string, string>>) => {
    const children = components.filter((component) => component.parent === parent);
    return new Map(
      Object.entries(mounts).flatMap(([path, name]) =>
        children.filter((child) => child.name === name).map((child) => [path, of(child)] as const)
      ),
    );
  };
  const of = ({ id, definition }: DeployedComponent): HttpRouting => {
    const { analysis = {}, httpMounts = {} } = definitionAt.get(definition) ?? {};
    const routes = analysis["http.js"]?.httpRoutes ?? null;
    return { component: id, routes, prefix: null, mounts: mountsOf(id, httpMounts) };
  };
  return {
    component: appComponent,
    routes: analysis["http.js"]?.httpRoutes ?? null,
    prefix: httpPrefix,
    mounts: mountsOf(appComponent, httpMounts),
  };
}

/** Where a request goes; `pathname` is percent-encoded, as in the URL. */
export function routeRequest(
  { component, routes, prefix, mounts }: HttpRouting,
  method: string,
  pathname: string,
): RoutedRequest {
  const ownPath = prefix === null
    ? pathname
    : pathname.startsWith(prefix)
    ? pathname.slice(prefix.length - 1)
    : null;
  const route = routes === null || ownPath === null
    ? undefined
    : matchRoute(routes, method, ownPath);
  const isExact = route !== undefined && !route.path.endsWith("*");
  const mount = isExact ? undefined : longestMount(mounts, pathname);
  // A prefix route's path is one longer than what it matches. No mount is as long as an own prefix route.
  if (mount !== undefined && (route === undefined || mount.length > route.path.length - 1)) {
    return routeRequest(mounts.get(mount)!, method, pathname.slice(mount.length - 1));
  }
  const path = ownPath ?? pathname;
  if (routes === null) return { component, path, route: null };
  return route === undefined ? { component, path } : { component, path, route };
}

function longestMount(mounts: HttpRouting["mounts"], pathname: string): string | undefined {
  const matching = [...mounts.keys()].filter((path) => pathname.startsWith(path));
  return matching.sort((a, b) => b.length - a.length)[0];
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
