import assert from "node:assert/strict";
import { matchRoute } from "./http_routes.ts";

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
