/** @convex-dev/better-auth as published, used by Better Auth's own client from a page of another origin. */
import assert from "node:assert/strict";
import { build } from "esbuild";
import { api } from "../support/api.ts";
import { appServer } from "../support/app_server.ts";
import { watch } from "../support/clients.ts";
import { installedPackages } from "../support/installed_packages.ts";

const fixture = "tests/fixtures/auth_packages";
const packages = await installedPackages(fixture);
const { createAuthClient, convexClient, crossDomainClient } = await bundledClient();
const siteUrl = "http://localhost:5173";

const { test } = appServer({
  app: `${fixture}/better_auth`,
  prepare: (app) => Deno.symlink(packages, `${app}/node_modules`),
  variables: () => ({ BETTER_AUTH_SECRET: crypto.randomUUID(), SITE_URL: siteUrl }),
});

const password = "correct horse";

/** A browser of its own: what the client keeps there, and the client. */
function browser(url: string) {
  const kept = new Map<string, string>();
  const storage = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
  };
  return createAuthClient({
    baseURL: url,
    plugins: [convexClient(), crossDomainClient({ storage })],
    fetchOptions: { headers: { origin: siteUrl } },
  });
}

/** The result of a client's call, which must have worked. */
// deno-lint-ignore no-explicit-any -- as the client
async function done(call: Promise<any>): Promise<any> {
  const { data, error } = await call;
  assert.equal(error, null);
  return data;
}

// deno-lint-ignore no-explicit-any -- as the client
async function tokenOf(client: any): Promise<string> {
  const { token } = await done(client.convex.token());
  assert.match(token, /^eyJ/);
  return token;
}

test("components §13: @convex-dev/better-auth signs up, in and out, with sessions", async ({ server, clients }) => {
  const page = browser(server.url);
  const email = "ada@example.com";
  const { user } = await done(page.signUp.email({ email, password, name: "Ada" }));
  assert.equal(user.email, email);
  assert.equal((await done(page.getSession())).user.name, "Ada");
  const client = clients.http();
  assert.equal(await client.query(api.auth.me, {}), null);
  await assert.rejects(client.query(api.auth.getAuthUser, {}), /Unauthenticated/);
  const token = await tokenOf(page);
  client.setAuth(token);
  const ada = { name: "Ada", email, member: "Ada" };
  assert.deepEqual(await client.query(api.auth.me, {}), ada);

  const elsewhere = browser(server.url);
  const wrong = await elsewhere.signIn.email({ email, password: "wrong horse" });
  assert.equal(wrong.error.code, "INVALID_EMAIL_OR_PASSWORD");
  const taken = await elsewhere.signUp.email({ email, password, name: "Eve" });
  assert.equal(taken.error.code, "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL");
  assert.equal((await elsewhere.convex.token()).error.status, 401);
  await done(elsewhere.signIn.email({ email, password }));
  const sessions = await done(elsewhere.listSessions());
  assert.equal(sessions.length, 2);

  await done(page.signOut());
  assert.equal(await done(page.getSession()), null);
  assert.equal((await page.convex.token()).error.status, 401);
  assert.equal(await client.query(api.auth.me, {}), null, "its token counts, its session is gone");
});

test("components §12: Better Auth's own API works inside of queries and mutations", async ({ server, clients }) => {
  const page = browser(server.url);
  await done(page.signUp.email({ email: "bob@example.com", password, name: "Bob" }));
  const client = clients.http();
  client.setAuth(await tokenOf(page));
  const stranger = clients.http();
  const sessions = await Promise.all(
    [client, stranger, client, stranger].map((each) => each.query(api.auth.session, {})),
  );
  assert.deepEqual(sessions, ["bob@example.com", null, "bob@example.com", null]);
  await client.mutation(api.auth.rename, { name: "Robert" });
  const { name, member } = await client.query(api.auth.me, {});
  assert.deepEqual([name, member], ["Robert", "Robert"]);
});

test("components §13: users of @convex-dev/better-auth on live connections", async ({ server, clients }) => {
  const page = browser(server.url);
  await done(page.signUp.email({ email: "carol@example.com", password, name: "Carol" }));
  const token = await tokenOf(page);
  const client = clients.live();
  const me = watch(client, api.auth.me, {});
  await me.until((user) => user === null, "nobody");
  client.setAuth(() => Promise.resolve(token));
  await me.until((user) => user?.name === "Carol", "Carol");
  await done(page.updateUser({ name: "Caroline" }));
  await me.until((user) => user?.member === "Caroline", "the new name");
  await done(page.deleteUser({ password }));
  await me.until((user) => user === null, "nobody again");
});

test("components §13: @convex-dev/better-auth resets a password with a link by email", async ({ server, clients }) => {
  const page = browser(server.url);
  const email = "dora@example.com";
  await done(page.signUp.email({ email, password, name: "Dora" }));
  await done(page.requestPasswordReset({ email, redirectTo: `${siteUrl}/reset` }));
  const [link] = await clients.http().query(api.auth.linksTo, { to: email });
  const answer = await fetch(link, { redirect: "manual" });
  assert.equal(answer.status, 302);
  const target = new URL(answer.headers.get("location")!);
  assert.equal(target.origin + target.pathname, `${siteUrl}/reset`);
  const token = target.searchParams.get("token");
  const newPassword = "new correct horse";
  await done(page.resetPassword({ newPassword, token }));
  assert.notEqual((await page.resetPassword({ newPassword, token })).error, null);
  assert.notEqual((await browser(server.url).signIn.email({ email, password })).error, null);
  await done(browser(server.url).signIn.email({ email, password: newPassword }));
});

test("components §13: routes of @convex-dev/better-auth: cookies, other origins, keys", async ({ server }) => {
  const post = (origin: string, path: string, body: object) =>
    fetch(`${server.url}/api/auth/${path}`, {
      method: "POST",
      headers: { origin, "content-type": "application/json", cookie: "x=1" },
      body: JSON.stringify(body),
    });
  const account = { email: "finn@example.com", password, name: "Finn" };
  const signedUp = await post(siteUrl, "sign-up/email", account);
  await signedUp.body?.cancel();
  assert.equal(signedUp.headers.get("access-control-allow-origin"), siteUrl);
  assert.equal(signedUp.headers.get("access-control-allow-credentials"), "true");
  const cookies = signedUp.headers.getSetCookie();
  const named = (name: string) =>
    cookies.find((cookie) => cookie.startsWith(`better-auth.${name}=`));
  assert.match(named("session_token")!, /; HttpOnly; SameSite=Lax/i);
  const cookie = named("session_token")!.split(";", 1)[0]!;
  const get = (path: string) => fetch(`${server.url}/api/auth/${path}`, { headers: { cookie } });
  assert.equal((await (await get("get-session")).json()).user.name, "Finn");
  const { token } = await (await get("convex/token")).json();
  assert.equal(named("convex_jwt")!.split(/[=;]/)[1]!.split(".").length, 3);

  const strange = await post("http://evil.example", "sign-in/email", account);
  assert.equal(strange.status, 403);
  await strange.body?.cancel();
  const asked = await fetch(`${server.url}/api/auth/sign-in/email`, {
    method: "OPTIONS",
    headers: {
      origin: siteUrl,
      "access-control-request-method": "POST",
      "access-control-request-headers": "better-auth-cookie",
    },
  });
  assert.equal(asked.status, 204);
  assert.match(asked.headers.get("access-control-allow-headers")!, /Better-Auth-Cookie/);

  const { keys } = await (await fetch(`${server.url}/api/auth/convex/jwks`)).json();
  const { kid } = JSON.parse(atob(token.split(".")[0]));
  assert.ok(keys.some((key: { kid: string }) => key.kid === kid));
  const discovery = await fetch(`${server.url}/api/auth/convex/.well-known/openid-configuration`);
  assert.equal((await discovery.json()).issuer, server.url);
});

test("components §13: keys of @convex-dev/better-auth in a variable, as a data URL", async ({ server, app, clients }) => {
  const admin = clients.http({ adminKey: server.adminKey });
  const keys = await admin.action(api.auth.latestJwks, {});
  assert.equal((await server.command("env", "set", "JWKS", JSON.stringify(keys))).code, 0);
  const pushed = server.nextLine(/Functions ready|Push failed/);
  await Deno.copyFile(`${app}/auth_config_with_keys.ts`, `${app}/convex/auth.config.ts`);
  assert.equal(await pushed, "Functions ready");
  const page = browser(server.url);
  await done(page.signUp.email({ email: "gina@example.com", password, name: "Gina" }));
  const client = clients.http();
  client.setAuth(await tokenOf(page));
  assert.equal((await client.query(api.auth.me, {})).name, "Gina");
});

/** Better Auth's client, bundled as a page's build would. */
// deno-lint-ignore no-explicit-any -- the package is the fixture's alone, its types too
async function bundledClient(): Promise<any> {
  const { outputFiles } = await build({
    entryPoints: [`${fixture}/better_auth/page.ts`],
    nodePaths: [packages],
    ...{ bundle: true, format: "esm", platform: "browser", write: false },
  });
  const source = new Blob([outputFiles[0]!.text], { type: "text/javascript" });
  return await import(URL.createObjectURL(source));
}
