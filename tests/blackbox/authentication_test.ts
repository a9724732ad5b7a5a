/** Users with tokens, and admins acting as users, in every kind of function over HTTP. */
import assert from "node:assert/strict";
import type { ConvexHttpClient } from "convex/browser";
import { exportJWK } from "jose";
import { api } from "../support/api.ts";
import { type AppContext, appServer } from "../support/app_server.ts";
import { postJson } from "../support/http.ts";
import { IdentityProvider, SigningKey } from "../support/identity_provider.ts";
import { eventually, within } from "../support/waiting.ts";

const openId = await IdentityProvider.start("RS256");
const custom = await IdentityProvider.start("ES256");
const slow = await IdentityProvider.start("ES256");
const ownKey = await SigningKey.generate("RS256", "own");
const withData = await SigningKey.generate("ES256", "in the data URL");
const dataUrl = `data:text/plain;charset=utf-8;base64,${
  btoa(JSON.stringify({ keys: [withData.publicJwk] }))
}`;

const authConfig = `export default { providers: [
  { domain: ${JSON.stringify(openId.issuer)}, applicationID: "my-app" },
  { domain: process.env.CONVEX_SITE_URL, applicationID: "convex" },
  ${customJwt(custom.issuer, custom.jwksUrl)},
  ${customJwt(slow.issuer, slow.jwksUrl)},
  ${customJwt("https://data.example", dataUrl)},
] };`;

function customJwt(issuer: string, jwks: string): string {
  return JSON.stringify({ type: "customJwt", issuer, jwks, algorithm: "ES256" });
}

// A key set without key ids, as @convex-dev/auth publishes it.
const { kid: _, alg: __, ...ownPublicJwk } = ownKey.publicJwk;
const ownPrivateJwk = await exportJWK(ownKey.privateKey);

const { test } = appServer({
  app: "tests/fixtures/signin",
  packages: ["jose"],
  files: { "convex/auth.config.ts": authConfig },
  variables: () => ({
    JWKS: JSON.stringify({ keys: [ownPublicJwk] }),
    PRIVATE_KEY: JSON.stringify(ownPrivateJwk),
  }),
});

Deno.test.afterAll(async () => {
  await Promise.all([openId, custom, slow].map((provider) => provider[Symbol.asyncDispose]()));
});

function signedIn({ clients }: AppContext, token: string): ConvexHttpClient {
  const client = clients.http();
  client.setAuth(token);
  return client;
}

async function whoami({ server }: AppContext, authorization: string) {
  return await postJson(`${server.url}/api/query`, { path: "users:whoami", args: {} }, {
    authorization,
  });
}

test("http-api 53, function-abi 70, §10: every kind of function sees the user of an OIDC token", async (context) => {
  const token = await openId.token("user1", "my-app", {
    ...{ given_name: "Ada", email: "ada@x.example", email_verified: true },
    ...{ roles: ["admin"], org: { id: 7 } },
  });
  const client = signedIn(context, token);
  const user = {
    ...{ tokenIdentifier: `${openId.issuer}|user1`, issuer: openId.issuer, subject: "user1" },
    ...{ givenName: "Ada", email: "ada@x.example", emailVerified: true },
    ...{ roles: ["admin"], org: { id: 7 } },
  };
  assert.deepEqual(await client.query(api.users.whoami, {}), user);
  assert.deepEqual(await client.mutation(api.users.see, { place: "mutation" }), user);
  assert.deepEqual(await client.action(api.users.whoamiInAction, {}), {
    ...{ action: user, query: user, mutation: user, node: [user, user] },
  });
  const { body } = await whoami(context, `bEARER  ${token} `);
  assert.deepEqual(body.value, user);
  const answer = await fetch(`${context.server.url}/whoami`, {
    headers: { authorization: `Bearer ${token}` },
  });
  assert.deepEqual(await answer.json(), user);
});

test("function-abi §15: functions that write or act see the token itself, of users alone", async (context) => {
  const token = await openId.token("user1", "my-app");
  assert.deepEqual(await signedIn(context, token).action(api.users.tokens, {}), [
    token,
    token,
    token,
  ]);
  const { clients, server } = context;
  for (const client of [clients.http(), clients.http({ adminKey: server.adminKey })]) {
    assert.deepEqual(await client.action(api.users.tokens, {}), [null, null, null]);
  }
});

test("http-api 66, 67: custom tokens, with keys at a URL or inside the configuration", async (context) => {
  const client = signedIn(context, await custom.token("c", "anyone", { a: { b: 1 } }));
  assert.deepEqual(await client.query(api.users.whoami, {}), {
    ...{ tokenIdentifier: `${custom.issuer}|c`, issuer: custom.issuer, subject: "c", "a.b": 1 },
  });
  const token = await withData.sign({ iss: "https://data.example", sub: "d" });
  const user = await signedIn(context, token).query(api.users.whoami, {});
  assert.equal(user.tokenIdentifier, "https://data.example|d");
});

test("semantics 75: users share what does not look at them, and nothing else", async (context) => {
  const clients = await Promise.all(
    ["a", "b"].map(async (name) => signedIn(context, await openId.token(name, "my-app"))),
  );
  clients.push(context.clients.http());
  const ask = async (query: string) =>
    await Promise.all(clients.map((client) => client.query(api.users[query], {})));
  const [first, second] = [await ask("stamp"), await ask("stampOfUser")];
  assert.equal(new Set(first).size, 1);
  assert.deepEqual(second.map((stamp: string) => stamp.split(" ")[0]), ["a", "b", "undefined"]);
  assert.deepEqual(await ask("stampOfUser"), second, "each user's result is kept");
  clients.push(signedIn(context, await openId.token("a", "my-app", { jti: "refreshed" })));
  assert.equal((await ask("stampOfUser"))[3], second[0], "a refreshed token is the same user");
});

test("semantics 89, function-abi §10: scheduled functions and cron jobs have no identity", async (context) => {
  const client = signedIn(context, await openId.token("planner", "my-app"));
  const caller = await client.mutation(api.users.seeLater, { place: "later" });
  assert.equal(caller.subject, "planner");
  const seen = await eventually(async () => {
    const sightings = await client.query(api.users.sightings, { place: "later" });
    return sightings.length === 2 ? sightings : undefined;
  }, "both scheduled functions");
  assert.deepEqual(seen.map(({ identity }: { identity: unknown }) => identity), [null, null]);
  const [cron] = await eventually(async () => {
    const sightings = await client.query(api.users.sightings, { place: "cron" });
    return sightings.length > 0 ? sightings : undefined;
  }, "the cron job");
  assert.equal(cron.identity, null);
});

test("http-api 54-56, rule 21: bad tokens fail calls, whether or not the function looks", async (context) => {
  const expired = await openId.token("u", "my-app", { exp: Math.floor(Date.now() / 1000) - 10 });
  const stranger = await openId.token("u", "another-app");
  const refusals: [string, string, RegExp][] = [
    [expired, "Unauthenticated", /hasn't expired/],
    [stranger, "NoAuthProvider", /Configured providers: OIDC domain .*"my-app"/],
    ["garbage", "InvalidAuthHeader", /Could not parse JWT payload/],
    ["x".repeat(17_000), "InvalidAuthHeader", /17000 characters/],
  ];
  for (const [token, code, reason] of refusals) {
    const { status, body } = await whoami(context, `Bearer ${token}`);
    assert.equal(`${status} ${body.code}`, `401 ${code}`);
    assert.match(body.message, reason);
    const client = signedIn(context, token);
    await assert.rejects(client.query(api.users.stamp, {}), new RegExp(code));
    await assert.rejects(client.mutation(api.users.see, { place: "refused" }));
    await assert.rejects(client.action(api.tokens.issue, { subject: "x" }));
  }
  const sightings = await context.clients.http().query(api.users.sightings, { place: "refused" });
  assert.deepEqual(sightings, []);
});

test("http-api 90, 91, function-abi 71, semantics A6: an HTTP action runs with a bad token, and only asking for the user throws", async ({ server }) => {
  const expired = await openId.token("u", "my-app", { exp: 1_000_000_000 });
  for (const authorization of [`Bearer ${expired}`, "Bearer garbage", "Basic dTpw", "x"]) {
    const get = (path: string) => fetch(server.url + path, { headers: { authorization } });
    assert.equal(await (await get("/whoami?blindly")).text(), "whoever you are");
    const answer = await get("/whoami");
    assert.equal(answer.status, 500);
    const { code, trace } = await answer.json();
    assert.match(code, /Could not|Invalid|expired/);
    assert.match(trace, /http\.ts/);
  }
  assert.equal(await (await fetch(`${server.url}/whoami`)).json(), null);
});

test("http-api 60, 61, deploy-protocol 3: an admin acts as a user", async (context) => {
  const { server, clients } = context;
  const user = {
    issuer: "https://i",
    subject: "s",
    name: "Ünïcode 漢字 🚀",
    "https://x/role": [1],
  };
  const identity = { ...user, tokenIdentifier: "https://i|s" };
  const client = clients.http();
  // deno-lint-ignore no-explicit-any -- setAdminAuth is there but marked internal in the types
  (client as any).setAdminAuth(server.adminKey, user);
  assert.deepEqual(await client.query(api.users.whoami, {}), identity);
  assert.deepEqual((await client.action(api.users.whoamiInAction, {})).node, [identity, identity]);
  // deno-lint-ignore no-explicit-any
  (client as any).setAdminAuth(`prod:${server.adminKey}`, user);
  assert.deepEqual(await client.mutation(api.users.see, { place: "admin" }), identity);
  assert.equal(
    await clients.http({ adminKey: server.adminKey }).query(api.users.whoami, {}),
    null,
  );
  const malformed = await whoami(context, `Convex ${server.adminKey}:%%%`);
  assert.equal(`${malformed.status} ${malformed.body.code}`, "400 HeaderParseFailure");
  const other = await whoami(context, `Convex other-instance|${server.adminKey.split("|")[1]}`);
  assert.equal(`${other.status} ${other.body.code}`, "401 BadAdminKey");
});

test("http-api rule 109: an app that is its own issuer is asked without the network, also by many at once", async (context) => {
  const { clients } = context;
  const token = await clients.http().action(api.tokens.issue, { subject: "own user" });
  const users = await Promise.all(
    Array.from({ length: 20 }, () => signedIn(context, token).query(api.users.whoami, {})),
  );
  for (const { subject, issuer } of users) {
    assert.equal(`${subject} ${issuer}`, `own user ${context.server.url}`);
  }
});

test("http-api rule 112: keys are rotated while the server runs", async (context) => {
  const before = await custom.token("u", "x");
  await signedIn(context, before).query(api.users.whoami, {});
  custom.keys = [await SigningKey.generate("ES256", "rotated")];
  const after = signedIn(context, await custom.token("u", "x"));
  assert.equal((await after.query(api.users.whoami, {})).subject, "u");
  const { status, body } = await whoami(context, `Bearer ${before}`);
  assert.equal(status, 401);
  assert.match(body.message, /header is 'key-0', does this key match any key/);
});

test("http-api §15: a provider that does not answer delays nobody but its own users", async (context) => {
  const [asked, answer] = [Promise.withResolvers<void>(), Promise.withResolvers<undefined>()];
  slow.instead = () => {
    asked.resolve();
    return answer.promise;
  };
  const slowClient = signedIn(context, await slow.token("slow", "x"));
  const waiting = slowClient.query(api.users.whoami, {});
  await within(asked.promise, 5_000, "the request for keys");
  const client = signedIn(context, await openId.token("quick", "my-app"));
  for (let n = 0; n < 20; n++) {
    assert.equal((await client.query(api.users.whoami, {})).subject, "quick");
  }
  answer.resolve(undefined);
  assert.equal((await waiting).subject, "slow");
});
