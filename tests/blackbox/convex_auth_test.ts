/** @convex-dev/auth as published: passwords, codes by email, sessions; the app is its own token issuer. */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { type AppContext, appServer } from "../support/app_server.ts";
import { watch } from "../support/clients.ts";
import { convexAuthSetup } from "../support/convex_auth.ts";
import { installedPackages } from "../support/installed_packages.ts";

const { publicKey, variables } = await convexAuthSetup();

const { test } = appServer({
  app: "tests/fixtures/auth_packages/convex_auth",
  prepare: async (app) => {
    const packages = await installedPackages("tests/fixtures/auth_packages");
    await Deno.symlink(packages, `${app}/node_modules`);
  },
  variables: () => variables,
});

const password = "correct horse";

interface Tokens {
  readonly token: string;
  readonly refreshToken: string;
}

type HttpClient = ReturnType<AppContext["clients"]["http"]>;

async function signIn(client: HttpClient, params: object, provider = "password"): Promise<Tokens> {
  const { tokens } = await client.action(api.auth.signIn, { provider, params });
  assert.deepEqual(Object.keys(tokens).sort(), ["refreshToken", "token"]);
  client.setAuth(tokens.token);
  return tokens;
}

const refused = (client: HttpClient, params: object, reason: RegExp, provider = "password") =>
  assert.rejects(client.action(api.auth.signIn, { provider, params }), reason);

const codesOf = (client: HttpClient, to: string): Promise<string[]> =>
  client.query(api.emails.codes, { to });

test("components §13: @convex-dev/auth signs up and in, and refuses wrong passwords", async ({ server, clients }) => {
  const client = clients.http();
  const ada = { email: "Ada@example.com", password, name: "Ada" };
  await refused(client, { ...ada, password: "short", flow: "signUp" }, /8 characters or more/);
  await signIn(client, { ...ada, flow: "signUp" });
  const me = await client.query(api.notes.me, {});
  assert.deepEqual(me, {
    ...{ userId: me.userId, name: "Ada", email: "ada@example.com", isOfSession: true },
  });
  await client.mutation(api.notes.add, { text: "mine" });

  const another = clients.http();
  await refused(another, { ...ada, flow: "signUp", password: "other horse" }, /already exists/);
  await refused(another, { ...ada, flow: "signIn", password: "wrong horse" }, /InvalidSecret/);
  await refused(another, { email: "eve@example.com", password, flow: "signIn" }, /InvalidAccount/);
  await assert.rejects(another.query(api.notes.list, {}), /Sign in first/);
  assert.equal(await another.query(api.auth.isAuthenticated, {}), false);

  const { token } = await signIn(another, { ...ada, flow: "signIn" });
  assert.equal((await another.query(api.notes.me, {})).userId, me.userId);
  assert.deepEqual(await another.query(api.notes.list, {}), ["mine"]);
  assert.equal(await another.query(api.auth.isAuthenticated, {}), true);
  const headers = { authorization: `Bearer ${token}` };
  assert.equal(await (await fetch(`${server.url}/me`, { headers })).json(), me.userId);
});

test("components §13: @convex-dev/auth stops who tries passwords", async ({ clients }) => {
  const client = clients.http();
  const carol = { email: "carol@example.com", password };
  await signIn(client, { ...carol, flow: "signUp" });
  const wrong = { ...carol, password: "wrong horse", flow: "signIn" };
  // As many as the app's settings allow in an hour.
  for (let i = 0; i < 2; i++) await refused(client, wrong, /InvalidSecret/);
  await refused(client, { ...carol, flow: "signIn" }, /TooManyFailedAttempts/);
});

test("components §13: @convex-dev/auth exchanges refresh tokens, and ends a session for good", async ({ clients }) => {
  const client = clients.http();
  const first = await signIn(client, { email: "bob@example.com", password, flow: "signUp" });
  const refresh = async (refreshToken: string) => {
    const { tokens } = await clients.http().action(api.auth.signIn, { refreshToken });
    return tokens as Tokens | null;
  };
  const second = await refresh(first.refreshToken);
  assert.ok(second !== null && second.refreshToken !== first.refreshToken);
  client.setAuth(second.token);
  assert.equal((await client.query(api.notes.me, {})).email, "bob@example.com");
  const again = await refresh(first.refreshToken);
  assert.equal(again?.refreshToken, second.refreshToken, "of two tabs, each gets the same");

  await client.action(api.auth.signOut, {});
  assert.equal(await refresh(second.refreshToken), null);
  assert.equal(await refresh(first.refreshToken), null);
});

test("components §13: @convex-dev/auth resets a password with a code by email, and ends other sessions", async ({ clients }) => {
  const [client, elsewhere] = [clients.http(), clients.http()];
  const email = "dora@example.com";
  const { refreshToken } = await signIn(elsewhere, { email, password, flow: "signUp" });
  const started = await client.action(api.auth.signIn, {
    ...{ provider: "password", params: { email, flow: "reset" } },
  });
  assert.equal(started.tokens, null);
  const [code] = await codesOf(client, email);
  assert.match(code!, /^\d{8}$/);
  const reset = { email, newPassword: "new correct horse", flow: "reset-verification" };
  await refused(client, { ...reset, code: "no code" }, /Could not verify code/);
  await signIn(client, { ...reset, code });
  assert.equal((await client.query(api.notes.me, {})).email, email);
  await refused(clients.http(), { ...reset, code }, /Could not verify code/);

  await refused(clients.http(), { email, password, flow: "signIn" }, /InvalidSecret/);
  await signIn(clients.http(), { email, password: reset.newPassword, flow: "signIn" });
  const { tokens } = await clients.http().action(api.auth.signIn, { refreshToken });
  assert.equal(tokens, null);
});

test("components §13: @convex-dev/auth verifies addresses, and knows users without any", async ({ clients }) => {
  const client = clients.http();
  const email = "finn@example.com";
  const account = { email, password };
  const provider = "verified";
  const begin = { provider, params: { ...account, flow: "signUp" } };
  assert.equal((await client.action(api.auth.signIn, begin)).tokens, null);
  const [code] = await codesOf(client, email);
  await signIn(client, { email, code, flow: "email-verification" }, provider);
  assert.equal((await client.query(api.notes.me, {})).email, email);
  await signIn(clients.http(), { ...account, flow: "signIn" }, provider);

  const nobody = clients.http();
  await signIn(nobody, {}, "anonymous");
  assert.equal((await nobody.query(api.notes.me, {})).isAnonymous, true);
});

test("components §13: users of @convex-dev/auth on live connections", async ({ clients }) => {
  const { token } = await signIn(clients.http(), {
    ...{ email: "gina@example.com", password, name: "Gina", flow: "signUp" },
  });
  const client = clients.live();
  const me = watch(client, api.notes.me, {});
  await me.until((user) => user === null, "nobody");
  client.setAuth(() => Promise.resolve(token));
  await me.until((user) => user?.name === "Gina", "Gina");
  const notes = watch(client, api.notes.list, {});
  await notes.until((texts) => texts.length === 0, "no notes");
  await client.mutation(api.notes.add, { text: "live" });
  await notes.until((texts) => texts[0] === "live", "the note");
  client.client.clearAuth();
  await me.until((user) => user === null, "nobody again");
  await notes.untilError();
});

test("http-api 15.4: the app's HTTP actions are the issuer that its tokens name", async ({ server, clients }) => {
  const { token } = await signIn(clients.http(), {}, "anonymous");
  const discovery = await (await fetch(`${server.url}/.well-known/openid-configuration`)).json();
  assert.equal(discovery.issuer, server.url);
  const [, payload] = token.split(".");
  assert.equal(JSON.parse(atob(payload!)).iss, discovery.issuer);
  assert.deepEqual(await (await fetch(discovery.jwks_uri)).json(), { keys: [publicKey] });
});
