import assert from "node:assert/strict";
import { action, FakeBackend, mutation, query } from "../../tests/support/fake_backend.ts";
import { admin, anonymous, context, user } from "../../tests/support/function_harness.ts";
import { FunctionError, RequestError } from "../errors.ts";
import type { Caller } from "./functions.ts";
import { Modules } from "./modules.ts";

const nothing = () => "null";

function deployed(): Modules {
  const modules = new Modules({
    paths: ["_system/cli/tables:default"],
    componentAt: () => undefined,
  });
  modules.setDeployment(
    ...new FakeBackend().deployment({
      "messages:list": query(nothing),
      "messages:send": mutation(nothing),
      "dir/jobs:run": action(nothing),
      "dir/jobs:default": query(nothing),
      "messages:secret": { ...query(nothing), isInternal: true },
    }),
  );
  return modules;
}

function failureText(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof FunctionError) return error.failure.message;
    throw error;
  }
  assert.fail("nothing was thrown");
}

const impersonating: Caller = { kind: "admin", impersonating: { tokenIdentifier: "a|b" } };

Deno.test("http-api 27: every spelling of a path finds the same function", () => {
  const modules = deployed();
  const found = modules.find("messages:list");
  assert.equal(found?.path, "messages:list");
  assert.equal(modules.find("messages.js:list"), found);
  const byDefault = modules.find("dir/jobs");
  assert.equal(byDefault?.path, "dir/jobs");
  for (const spelling of ["dir/jobs:default", "dir/jobs.js", "dir/jobs.js:default"]) {
    assert.equal(modules.find(spelling), byDefault, spelling);
  }
  assert.equal(modules.find("messages:__proto__"), undefined);
});

Deno.test("semantics 55, 56: internal and missing functions are the same to clients", () => {
  const modules = deployed();
  for (const caller of [anonymous, user("ada")]) {
    for (const path of ["messages:secret", "messages:none", "nowhere:at_all"]) {
      assert.equal(
        failureText(() => modules.resolve(path, "query", context(caller))),
        `Could not find public function for '${path}'.`,
      );
    }
  }
  assert.equal(
    failureText(() => modules.resolve("nowhere.js:default", "query", context())),
    "Could not find public function for 'nowhere'.",
  );
});

Deno.test("sync-protocol 78: admins and the server itself reach internal functions", () => {
  const modules = deployed();
  for (const caller of [admin, impersonating, { kind: "system", identity: null } as const]) {
    assert.equal(modules.resolve("messages:secret", "query", context(caller)).isPublic, false);
  }
});

Deno.test("sync-protocol 34: the wrong kind is named with the right one", () => {
  const modules = deployed();
  assert.equal(
    failureText(() => modules.resolve("messages:send", "query", context())),
    "Trying to execute messages.js:send as Query, but it is defined as Mutation.",
  );
  assert.equal(
    failureText(() => modules.resolve("dir/jobs:run", "mutation", context())),
    "Trying to execute dir/jobs.js:run as Mutation, but it is defined as Action.",
  );
});

Deno.test("http-api rule 39: system modules are for admins", () => {
  const modules = deployed();
  const path = "_system/cli/tables:default";
  assert.equal(
    failureText(() => modules.resolve(path, "query", context())),
    "Operation query not permitted",
  );
  assert.throws(
    () => modules.resolve(path, "action", context()),
    (error) => error instanceof RequestError && error.code === "SystemIdentityRequired",
  );
  for (const spelling of [path, "_system/cli/tables", "_system/cli/tables.js:default"]) {
    assert.equal(modules.resolve(spelling, "query", context(admin)).path, path);
    assert.equal(modules.resolveAny(spelling, context(admin)).path, path);
  }
  const system: Caller = { kind: "system", identity: null };
  assert.equal(
    failureText(() => modules.resolve(path, "query", context(system))),
    "Could not find public function for '_system/cli/tables'.",
  );
  assert.equal(modules.find(path), undefined);
});

Deno.test("http-api 25, 47: a call of any kind says how to get a missing function", () => {
  const modules = deployed();
  assert.equal(modules.resolveAny("messages:secret", context(admin)).kind, "query");
  assert.equal(modules.resolveAny("messages:send", context(impersonating)).kind, "mutation");
  assert.equal(
    failureText(() => modules.resolveAny("messages:secret", context(impersonating))),
    "Could not find function for 'messages:secret'. Did you forget to run `npx convex dev`?",
  );
});

Deno.test("semantics 8.1: the path of an unknown component is named before the function", () => {
  const modules = deployed();
  const inComponent = { ...context(admin), componentPath: "waitlist" };
  assert.equal(
    failureText(() => modules.resolve("messages:list", "query", inComponent)),
    "Component path 'waitlist' not found",
  );
  const inApp = { ...context(), componentPath: "" };
  assert.equal(modules.resolve("messages:list", "query", inApp).path, "messages:list");
});
