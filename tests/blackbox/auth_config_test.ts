/** `auth.config.ts` on a production server: variables, URLs, restarts. */
import assert from "node:assert/strict";
import { exportJWK } from "jose";
import { copyApp } from "../support/apps.ts";
import { postJson } from "../support/http.ts";
import { IdentityProvider, SigningKey } from "../support/identity_provider.ts";
import { ServerProcess } from "../support/server_process.ts";

const authConfig = `export default { providers: [
  { domain: process.env.MY_ISSUER, applicationID: "my-app" },
  { domain: process.env.CONVEX_SITE_URL, applicationID: "convex" },
] };`;

async function whoami(server: ServerProcess, token: string): Promise<string> {
  const { status, body } = await postJson(
    `${server.url}/api/query`,
    { path: "users:whoami", args: {} },
    { authorization: `Bearer ${token}` },
  );
  return status === 200 ? body.value.tokenIdentifier : `${status} ${body.code}: ${body.message}`;
}

Deno.test("deploy-protocol 3.9: auth.config.ts follows variables and URLs, also through a restart elsewhere", async () => {
  await using first = await IdentityProvider.start("RS256");
  await using second = await IdentityProvider.start("RS256");
  const app = await copyApp("tests/fixtures/signin", {
    packages: ["jose"],
    files: { "convex/auth.config.ts": authConfig },
  });
  const dataFolder = await Deno.makeTempDir({ prefix: "hull-data-" });
  const server = await ServerProcess.start({ dataFolder });
  const set = async (name: string, value: string) => {
    const { code, output } = await server.command("env", "set", name, value);
    assert.equal(code, 0, output);
  };

  const tooEarly = await server.command("deploy", "--app", app);
  assert.equal(tooEarly.code, 1);
  assert.match(
    tooEarly.output,
    /Environment variable MY_ISSUER is used in auth config file but its value was not set/,
  );
  await set("MY_ISSUER", first.issuer);
  await server.deploy(app);
  await Deno.remove(app, { recursive: true });
  const token = await first.token("ada", "my-app");
  assert.equal(await whoami(server, token), `${first.issuer}|ada`);

  await set("MY_ISSUER", second.issuer);
  const refused = "401 NoAuthProvider: No auth provider found matching the given token";
  assert.equal(await whoami(server, token), refused, "and no word about others");
  const other = await second.token("bob", "my-app");
  assert.equal(await whoami(server, other), `${second.issuer}|bob`);
  for (const args of [["remove", "MY_ISSUER"], ["set", "MY_ISSUER", "no domain"]]) {
    const { code, output } = await server.command("env", ...args);
    assert.equal(code, 1);
    assert.match(output, /MY_ISSUER is used in auth config file|no domain of a provider/);
  }
  assert.equal(await whoami(server, other), `${second.issuer}|bob`);

  // Where the app is its own issuer, moving the server moves the issuer.
  const key = await SigningKey.generate("RS256", "own");
  await set("JWKS", JSON.stringify({ keys: [key.publicJwk] }));
  await set("PRIVATE_KEY", JSON.stringify(await exportJWK(key.privateKey)));
  await server.stop();
  await using moved = await ServerProcess.start({
    dataFolder,
    environment: { CONVEX_SITE_ORIGIN: "https://app.example/" },
  });
  const issue = { path: "tokens:issue", args: { subject: "eve" } };
  const { body } = await postJson(`${moved.url}/api/action`, issue);
  assert.equal(await whoami(moved, body.value), "https://app.example|eve");
  assert.equal(await whoami(moved, other), `${second.issuer}|bob`);
  await moved.stop();
  await Deno.remove(dataFolder, { recursive: true });
});
