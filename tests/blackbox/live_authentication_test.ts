/** Users on live connections: signing in and out, refreshed, expired and refused tokens, changed providers. */
import assert from "node:assert/strict";
import type { ConvexClient, ConvexClientOptions } from "convex/browser";
import { api } from "../support/api.ts";
import { type AppContext, appServer } from "../support/app_server.ts";
import { writeAppFile } from "../support/apps.ts";
import { watch } from "../support/clients.ts";
import { IdentityProvider } from "../support/identity_provider.ts";
import type { SyncSocket } from "../support/sync_socket.ts";
import { within } from "../support/waiting.ts";

const openId = await IdentityProvider.start("RS256");
const custom = await IdentityProvider.start("ES256");

const openIdConfig = JSON.stringify({ domain: openId.issuer, applicationID: "my-app" });
const customConfig = JSON.stringify({
  type: "customJwt",
  issuer: custom.issuer,
  jwks: custom.jwksUrl,
  algorithm: "ES256",
});
/** Starts to work when a test says so. */
const away = await IdentityProvider.start("ES256");
const awayConfig = JSON.stringify({
  type: "customJwt",
  issuer: away.issuer,
  jwks: away.jwksUrl,
  algorithm: "ES256",
});
const authConfig = (...providers: string[]) => `export default { providers: [${providers}] };`;

const { test } = appServer({
  app: "tests/fixtures/signin",
  packages: ["jose"],
  files: { "convex/auth.config.ts": authConfig(openIdConfig, customConfig, awayConfig) },
});

Deno.test.afterAll(async () => {
  await Promise.all([openId, custom, away].map((provider) => provider[Symbol.asyncDispose]()));
});

const inSeconds = (s: number) => Math.floor(Date.now() / 1000) + s;

// The protocol by hand

function authenticate(socket: SyncSocket, baseVersion: number, credential: object): void {
  socket.send({ type: "Authenticate", baseVersion, tokenType: "User", ...credential });
}

const transitionTo = (socket: SyncSocket, identity: number) =>
  socket.next(
    ({ type, endVersion }) => type === "Transition" && endVersion.identity === identity,
    `a transition to identity ${identity}`,
  );

const authError = (socket: SyncSocket) =>
  socket.next(({ type }) => type === "AuthError", "the AuthError");

test("sync-protocol 40, 68, 74, 75: users come and go on one socket", async ({ clients }) => {
  const socket = await clients.socket();
  socket.connect();
  socket.modifyQuerySet([
    { type: "Add", queryId: 0, udfPath: "users:whoami", args: [{}] },
    { type: "Add", queryId: 1, udfPath: "users:stamp", args: [{}] },
  ]);
  assert.equal((await socket.transition()).modifications[0].value, null);

  authenticate(socket, 0, { value: await openId.token("ada", "my-app", { name: "Ada" }) });
  socket.mutation(0, "users:see", { place: "socket" });
  const first = await transitionTo(socket, 1);
  assert.deepEqual(first.modifications.map(({ queryId }: { queryId: number }) => queryId), [0]);
  assert.equal(first.modifications[0].value.name, "Ada");
  assert.equal((await socket.response(0)).result.name, "Ada");

  authenticate(socket, 1, { value: await openId.token("ada", "my-app", { name: "Ada" }) });
  assert.deepEqual((await transitionTo(socket, 2)).modifications, [], "a refreshed token");
  authenticate(socket, 2, { value: await custom.token("bob", "x") });
  assert.equal((await transitionTo(socket, 3)).modifications[0].value.subject, "bob");
  authenticate(socket, 3, { tokenType: "None" });
  assert.equal((await transitionTo(socket, 4)).modifications[0].value, null);
});

test("sync-protocol 69, 80, rule 87: what is refused leaves the identity as it was, and ends the socket", async ({ clients }) => {
  const refused = [
    { value: "garbage" },
    { value: await openId.token("u", "another app") },
    { value: await openId.token("u", "my-app", { exp: inSeconds(-1) }) },
    { value: "x".repeat(1_000_000) },
    { tokenType: "Admin", value: "happy-otter-1|00" },
  ];
  for (const credential of refused) {
    const socket = await clients.socket();
    socket.connect();
    authenticate(socket, 0, credential);
    const { baseVersion, authUpdateAttempted, error } = await authError(socket);
    assert.deepEqual([baseVersion, authUpdateAttempted], [0, true]);
    assert.match(error, /./);
    assert.equal((await socket.closed).code, 1005);
  }
});

test("sync-protocol 72: an identity that has expired ends the socket at its next use", async ({ clients }) => {
  // Accepted for 5 s more, when clocks may differ, but over for whatever is done in its name.
  const value = await custom.token("u", "x", { exp: inSeconds(-1) });
  const socket = await clients.socket();
  socket.connect();
  socket.modifyQuerySet([]);
  await socket.transition();
  authenticate(socket, 0, { value });
  const { type: _, ...error } = await authError(socket);
  assert.deepEqual(error, {
    error: "Convex token identity expired",
    baseVersion: 1,
    authUpdateAttempted: false,
  });
  assert.equal((await socket.closed).code, 1005);
});

test("sync-protocol 16, 76, 79, 83: versions of the identity", async ({ clients, server }) => {
  const socket = await clients.socket();
  socket.connect();
  authenticate(socket, 0, { tokenType: "None" });
  await transitionTo(socket, 1);
  authenticate(socket, 1, { value: await openId.token("a", "my-app") });
  authenticate(socket, 2, { value: await custom.token("b", "x") });
  await transitionTo(socket, 3);
  authenticate(socket, 2, { tokenType: "None" });
  assert.equal((await socket.closed).code, 1011);

  const other = await clients.socket();
  authenticate(other, 0, {
    tokenType: "Admin",
    value: server.adminKey,
    impersonating: { issuer: "without subject" },
  });
  await other.next(({ type }) => type === "FatalError", "the FatalError");
});

// The published client

interface SignedIn {
  readonly client: ConvexClient;
  /** What the client was told about being signed in. */
  readonly changes: boolean[];
  /** Resolves with the first report from now on. */
  changed(to: boolean): Promise<void>;
}

/** Signs a client in; each token is fetched with the number of those before it. */
function signIn(
  { clients }: AppContext,
  fetchToken: (count: number) => Promise<string | null>,
  options: ConvexClientOptions = {},
): SignedIn {
  const client = clients.live(options);
  const changes: boolean[] = [];
  const waiting = new Set<(value: boolean) => void>();
  let count = 0;
  client.setAuth(() => fetchToken(count++), (value) => {
    changes.push(value);
    for (const tell of [...waiting]) tell(value);
  });
  return {
    client,
    changes,
    async changed(to) {
      if (changes.at(-1) === to) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      const tell = (value: boolean) => {
        if (value === to) resolve();
      };
      waiting.add(tell);
      await within(promise, 20_000, `being signed ${to ? "in" : "out"}`);
      waiting.delete(tell);
    },
  };
}

test("sync-protocol rule 94: a client signs in, refreshes its token early, and signs out", async (context) => {
  let fetched = 0;
  const enough = Promise.withResolvers<void>();
  // Fetched again 10 s before its end: after one second.
  const token = () =>
    openId.token("ada", "my-app", { exp: inSeconds(11), jti: crypto.randomUUID() });
  const { client, changes } = signIn(context, async (count) => {
    fetched = count + 1;
    if (fetched === 4) enough.resolve();
    return await token();
  });
  const user = watch(client, api.users.whoami, {});
  const stamp = watch(client, api.users.stamp, {});
  const own = watch(client, api.users.stampOfUser, {});
  await user.until((value) => value?.subject === "ada", "the user");
  await own.until((value) => value.startsWith("ada "), "the user's own result");
  await within(enough.promise, 20_000, "tokens to be refreshed");
  assert.equal((await client.mutation(api.users.see, { place: "live" })).subject, "ada");
  assert.equal(stamp.history.length, 1, "not run again");
  assert.equal(own.history.filter((value) => String(value).startsWith("ada ")).length, 1);
  assert.ok(changes.every((value) => value));
  client.client.clearAuth();
  await user.until((value) => value === null, "nobody");
  await own.until((value) => value.startsWith("undefined "), "nobody's own result");
  assert.equal(stamp.history.length, 1, "not run again");
});

test("sync-protocol 70: a client that is refused fetches another token and ends signed in", async (context) => {
  const { client, changed } = signIn(
    context,
    async (count) =>
      count === 0
        ? await openId.token("stale", "my-app", { exp: inSeconds(-60) })
        : await openId.token("fresh", "my-app"),
  );
  const user = watch(client, api.users.whoami, {});
  await user.until((value) => value?.subject === "fresh", "the second token's user");
  await changed(true);
});

test("sync-protocol 71: a client whose fresh tokens are refused goes on as nobody", async (context) => {
  const { client, changed, changes } = signIn(
    context,
    async () => await openId.token("nobody", "my-app", { exp: inSeconds(-60) }),
  );
  const user = watch(client, api.users.whoami, {});
  await changed(false);
  await user.until((value) => value === null, "an anonymous result");
  assert.equal(await client.mutation(api.users.see, { place: "nobody" }), null);
  assert.ok(changes.every((value) => !value));
});

test("sync-protocol rule 87: a client whose provider is away tries again until it is back", async (context) => {
  const asked = Promise.withResolvers<void>();
  away.instead = () => {
    asked.resolve();
    return new Response("not now", { status: 503 });
  };
  const { client, changes, changed } = signIn(context, () => away.token("patient", "x"));
  const user = watch(client, api.users.whoami, {});
  await within(asked.promise, 10_000, "the request for keys");
  away.instead = () => undefined;
  await changed(true);
  await user.until((value) => value?.subject === "patient", "the user");
  assert.ok(changes.every((value) => value), "never signed out");
});

test("sync-protocol 82: a client that expects to sign in asks nothing before it has", async (context) => {
  const { client, changed } = signIn(
    context,
    async () => await openId.token("expected", "my-app"),
    { expectAuth: true },
  );
  const user = watch(client, api.users.whoami, {});
  await user.until((value) => value !== undefined, "a first result");
  await changed(true);
  for (const value of user.history) assert.equal(value.subject, "expected");
});

test("sync-protocol 77, 78: an admin's client acts as a user, or as itself", async ({ clients, server }) => {
  const client = clients.live();
  const setAdminAuth = (identity?: object) =>
    (client as unknown as { setAdminAuth(key: string, identity?: object): void })
      .setAdminAuth(server.adminKey, identity);
  const user = watch(client, api.users.whoami, {});
  await user.until((value) => value === null, "nobody");
  const identity = { issuer: "https://i", subject: "s", roles: ["x"] };
  setAdminAuth(identity);
  const seen = await user.until((value) => value !== null, "the user");
  assert.deepEqual(seen, { ...identity, tokenIdentifier: "https://i|s" });
  setAdminAuth();
  await user.until((value) => value === null, "the admin");
  await client.mutation(api.users.seeAtTheEnd, { place: "internal" });
});

test("deploy-protocol 3.9: users whose provider goes away are signed out, the others stay", async (context) => {
  const { server, app } = context;
  const leaving = signIn(context, () => openId.token("leaving", "my-app"));
  const staying = signIn(context, () => custom.token("staying", "x"));
  const [left, stayed] = [leaving, staying].map(({ client }) =>
    watch(client, api.users.whoami, {})
  );
  await Promise.all([leaving.changed(true), staying.changed(true)]);

  await writeAppFile(app, "convex/auth.config.ts", authConfig(customConfig));
  await leaving.changed(false);
  await left!.until((value) => value === null, "nobody");
  const ready = server.nextLine(/Functions ready/);
  await writeAppFile(app, "convex/auth.config.ts", authConfig(openIdConfig, customConfig));
  await ready;
  await leaving.client.setAuth(() => openId.token("back", "my-app"));
  await left!.until((value) => value?.subject === "back", "the user again");
  assert.equal((stayed!.current as { subject: string }).subject, "staying");
  assert.ok(staying.changes.every((value) => value), "never signed out");
});
