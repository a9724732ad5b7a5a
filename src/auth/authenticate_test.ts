import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { withoutProviders } from "../../tests/support/api_listener.ts";
import { RequestError } from "../errors.ts";
import { instanceNameOf, makeAdminKey } from "./admin_key.ts";
import { Authenticator } from "./authenticate.ts";

const adminKey = makeAdminKey("happy-otter-1", new Uint8Array(32).fill(7));
const secret = adminKey.split("|")[1]!;
const authenticator = new Authenticator(adminKey, withoutProviders());
const admin = { kind: "admin", impersonating: null };

const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64");
const jwt = (payload: unknown) =>
  `${Buffer.from("{}").toString("base64url")}.${
    Buffer.from(JSON.stringify(payload)).toString("base64url")
  }.c2ln`;

async function refused(authorization: string): Promise<string> {
  const error = await authenticator.request(authorization, null).then(
    () => assert.fail(`${authorization} was accepted`),
    (error) => error,
  );
  assert.ok(error instanceof RequestError, String(error));
  return `${error.kind} ${error.code}`;
}

Deno.test("http-api 62, rule 18: without credentials the caller is anonymous; ?adminKey= works without the header", async () => {
  assert.deepEqual(await authenticator.request(null, null), { kind: "anonymous" });
  assert.deepEqual(await authenticator.request(null, adminKey), admin);
  assert.equal(await refused("Convex wrong").catch(String), "unauthenticated BadAdminKey");
});

Deno.test("http-api 57, 58, rule 17: the header's scheme is compared without case, other schemes are refused", async () => {
  assert.deepEqual(await authenticator.request(`convex ${adminKey}`, null), admin);
  assert.deepEqual(await authenticator.request(`Convex ${adminKey}`, "ignored"), admin);
  assert.equal(await refused("abc"), "badRequest InvalidHeaderFailure");
  assert.equal(await refused("Basic abcdef"), "badRequest InvalidAdminKey");
  assert.equal(await refused("Bearer "), "badRequest InvalidAdminKey");
});

Deno.test("http-api 59, 60, rule 19: deployment types are dropped, the instance name must match", async () => {
  assert.deepEqual(await authenticator.request(`Convex prod:${adminKey}`, null), admin);
  assert.deepEqual(
    await authenticator.request(`Convex preview:team:project|${secret}`, null),
    admin,
  );
  assert.equal(await refused(`Convex other|${secret}`), "unauthenticated BadAdminKey");
  assert.equal(await refused(`Convex prod:other|${secret}`), "unauthenticated BadAdminKey");
  assert.equal(await refused(`Convex ${adminKey.slice(0, -1)}`), "unauthenticated BadAdminKey");
});

Deno.test("http-api 61, rule 20: a key with attributes acts as that user", async () => {
  const user = { issuer: "https://i", subject: "s", name: "N", role: ["x"] };
  const expected = {
    kind: "admin",
    impersonating: { ...user, tokenIdentifier: "https://i|s" },
  };
  assert.deepEqual(
    await authenticator.request(`Convex ${adminKey}:${base64(user)}`, null),
    expected,
  );
  assert.deepEqual(
    await authenticator.request(`Convex dev:${adminKey}:${base64(user)}`, null),
    expected,
  );
  for (const bad of ["%%%", base64([]), base64({ issuer: "i" }), base64({ ...user, name: 1 })]) {
    assert.equal(await refused(`Convex ${adminKey}:${bad}`), "badRequest HeaderParseFailure");
  }
});

Deno.test("http-api 55, 56, rule 108: tokens are refused by what is wrong with them", async () => {
  assert.equal(await refused("Bearer garbage"), "unauthenticated InvalidAuthHeader");
  assert.equal(
    await refused(`Bearer ${jwt({ sub: "s" })}`),
    "unauthenticated InvalidAuthHeader",
  );
  assert.equal(
    await refused(`Bearer ${jwt({ iss: "https://i", sub: "s" })}`),
    "unauthenticated NoAuthProvider",
  );
});

Deno.test("instanceNameOf reads the name out of a key", () => {
  assert.equal(instanceNameOf(adminKey), "happy-otter-1");
  assert.equal(instanceNameOf(`prod:${adminKey}`), "happy-otter-1");
  assert.equal(instanceNameOf("secret only"), undefined);
});
