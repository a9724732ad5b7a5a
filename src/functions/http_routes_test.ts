import assert from "node:assert/strict";
import type { ComponentId } from "../database/component.ts";
import { type HttpRouting, matchRoute, routeRequest } from "./http_routes.ts";

const routes = [
  { path: "/a", method: "GET" },
  { path: "/profile/*", method: "GET" },
  { path: "/profile/admin/*", method: "GET" },
  { path: "/profile/me", method: "GET" },
  { path: "/hook", method: "POST" },
  { path: "/*", method: "PUT" },
];
const match = (method: string, path: string) => matchRoute(routes, method, path)?.path;

Deno.test("http-api 75, 76: exact routes win over prefixes, longer prefixes over shorter", () => {
  assert.equal(match("GET", "/profile/me"), "/profile/me");
  assert.equal(match("GET", "/profile/you"), "/profile/*");
  assert.equal(match("GET", "/profile/admin/x"), "/profile/admin/*");
  assert.equal(match("GET", "/profile/"), "/profile/*");
  assert.equal(match("GET", "/profile"), undefined);
  assert.equal(match("PUT", "/anything"), "/*");
});

Deno.test("http-api 77, 79, 80: only the route's own method matches, and HEAD is GET", () => {
  assert.equal(match("GET", "/hook"), undefined);
  assert.equal(match("OPTIONS", "/a"), undefined);
  assert.equal(match("HEAD", "/a"), "/a");
});

const id = (name: string) => name as ComponentId;
const node = (name: string, fields: Partial<HttpRouting>): HttpRouting => ({
  ...{ component: id(name), routes: null, prefix: null, mounts: new Map() },
  ...fields,
});
const grandchild = node("grandchild", { routes: [{ path: "/z", method: "GET" }] });
const child = node("child", {
  routes: [{ path: "/x", method: "GET" }, { path: "/deep/*", method: "GET" }],
  mounts: new Map([["/deep/er/", grandchild]]),
});
const app = node("", {
  routes: [
    { path: "/c/exact", method: "GET" },
    { path: "/*", method: "GET" },
    { path: "/c/longer/*", method: "GET" },
  ],
  mounts: new Map([["/c/", child], ["/none/", node("none", {})]]),
});
const routed = (path: string, root = app, method = "GET") => {
  const { component, path: seen, route } = routeRequest(root, method, path);
  return [component, seen, route && route.path];
};

Deno.test("components 30: an exact route goes before mounts, then the longest prefix wins", () => {
  assert.deepEqual(routed("/c/exact"), ["", "/c/exact", "/c/exact"]);
  assert.deepEqual(routed("/c/x"), ["child", "/x", "/x"]);
  assert.deepEqual(routed("/c/longer/x"), ["", "/c/longer/x", "/c/longer/*"]);
  assert.deepEqual(routed("/other"), ["", "/other", "/*"]);
  assert.deepEqual(routed("/c"), ["", "/c", "/*"]);
});

Deno.test("components 30: mounts lie inside of each other", () => {
  assert.deepEqual(routed("/c/deep/er/z"), ["grandchild", "/z", "/z"]);
  assert.deepEqual(routed("/c/deep/other"), ["child", "/deep/other", "/deep/*"]);
});

Deno.test("components 30: what nothing matches is answered by the component where the search ends", () => {
  assert.deepEqual(routed("/c/nothing"), ["child", "/nothing", undefined]);
  assert.deepEqual(routed("/none/x"), ["none", "/x", null]);
  assert.deepEqual(routed("/c/x", app, "POST"), ["child", "/x", undefined]);
});

Deno.test("components §11: an app's prefix moves its own routes and no mounts", () => {
  const moved = node("", {
    ...{ routes: [{ path: "/a", method: "GET" }], prefix: "/p/" },
    mounts: new Map([["/c/", child]]),
  });
  assert.deepEqual(routed("/p/a", moved), ["", "/a", "/a"]);
  assert.deepEqual(routed("/a", moved), ["", "/a", undefined]);
  assert.deepEqual(routed("/c/x", moved), ["child", "/x", "/x"]);
});
