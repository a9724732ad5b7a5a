import assert from "node:assert/strict";
import type { CatalogData } from "../database/catalog.ts";
import { zeroTimestamp } from "../database/timestamp.ts";
import type { DeploymentManifest } from "../isolate/protocol.ts";
import type { CatalogChange } from "../persistence/persistence.ts";
import type { DeploymentRecord } from "./deployment.ts";
import { DeploymentSettings } from "./deployment_settings.ts";
import { LiveDeployment } from "./live_deployment.ts";
import { StoredVariables } from "./stored_variables.ts";

const record: DeploymentRecord = {
  id: "d1",
  pushedAtMs: 0,
  modules: [{ path: "a.js", environment: "isolate", hash: "h", file: "f.js", sourceFile: "s" }],
  analysis: {},
  udfConfig: { serverVersion: "1.48.0", importSeed: "00", importTimeMs: 5 },
  schema: null,
  authProviders: [],
  nodeVersion: null,
};

/** Settings whose commits are kept in `records`, and the manifests that became live. */
function setUp(options: { readonly failCommits?: boolean } = {}) {
  const records = new Map<string, string | null>();
  const manifests: DeploymentManifest[] = [];
  const changes: (readonly string[] | undefined)[] = [];
  const live: LiveDeployment = new LiveDeployment({
    dataFolder: "/data",
    builtInVariables: () => settings.builtInVariables,
    fileStorageSecret: "s",
    use(_record, manifest, changed) {
      manifests.push(manifest);
      changes.push(changed && [...changed]);
    },
  });
  const committer = {
    async changeCatalog(change: CatalogChange) {
      if (options.failCommits) throw new Error("disk full");
      for (const { key, json } of change.records ?? []) records.set(key, json);
      return { timestamp: zeroTimestamp, catalog: {} as CatalogData };
    },
  };
  const storedVariables = new StoredVariables({
    committer,
    environment: { randomBytes: (length) => new Uint8Array(length) },
    secrets: ["secret"],
    discardsLost: false,
  });
  const settings = new DeploymentSettings({
    live,
    committer,
    storedVariables,
    defaultUrls: { cloud: "http://cloud", site: "http://site" },
    async evaluateAuthConfig({ environmentVariables: { ISSUER, CONVEX_SITE_URL } }) {
      if (ISSUER === undefined) throw new Error("ISSUER is not set");
      return [
        { domain: ISSUER, applicationID: "a" },
        { domain: CONVEX_SITE_URL!, applicationID: "b" },
      ];
    },
  });
  const getRecord = (key: string) => records.get(key) ?? undefined;
  return {
    live,
    settings,
    records,
    manifests,
    changes,
    kept: () => storedVariables.load({ getRecord }),
  };
}

Deno.test("DeploymentSettings keeps variables before anything was pushed", async () => {
  const { live, settings, manifests } = setUp();
  await settings.changeEnvironmentVariables([{ name: "A", value: "1" }]);
  assert.deepEqual([manifests.length, settings.environmentVariables], [0, { A: "1" }]);
  live.activate(record);
  assert.deepEqual(manifests[0]!.environmentVariables, {
    A: "1",
    CONVEX_CLOUD_URL: "http://cloud",
    CONVEX_SITE_URL: "http://site",
  });
});

Deno.test("deploy-protocol §5: a change takes effect under a new manifest", async () => {
  const { live, settings, manifests } = setUp();
  live.activate(record);
  await settings.changeEnvironmentVariables([{ name: "A", value: "1" }]);
  await settings.changeUrl("site", "https://site.example/");
  assert.equal(new Set(manifests.map(({ id }) => id)).size, 3);
  assert.equal(manifests[1]!.environmentVariables.A, "1");
  assert.equal(manifests[2]!.environmentVariables.CONVEX_SITE_URL, "https://site.example");
  await settings.changeUrl("site", null);
  assert.deepEqual(settings.urls, { cloud: "http://cloud", site: "http://site" });
});

Deno.test("deploy-protocol §5: what a push used, and is unset later, has changed", async () => {
  const { live, settings, changes } = setUp();
  await settings.changeEnvironmentVariables([{ name: "A", value: "1" }]);
  await live.switchTo(record, live.nextManifest(record), async (onVisible) => onVisible());
  await settings.changeEnvironmentVariables([{ name: "A", value: null }]);
  await settings.changeEnvironmentVariables([{ name: "B", value: "2" }]);
  assert.deepEqual(changes, [undefined, ["A"], ["B"]]);
});

Deno.test("deploy-protocol §5: variables that the live app declares stay, with values that it declares", async () => {
  const { live, settings } = setUp();
  const text = { value: `{"type":"string"}` };
  const literal = { value: `{"type":"literal","value":"x"}`, optional: true };
  live.activate({ ...record, declaredVariables: [["A", text], ["B", literal]] });
  const change = (...changes: readonly [name: string, value: string | null][]) =>
    settings.changeEnvironmentVariables(changes.map(([name, value]) => ({ name, value })));
  await change(["A", "1"], ["B", "x"]);
  await assert.rejects(change(["C", "3"], ["A", null]), { code: "RequiredEnvironmentVariable" });
  await assert.rejects(change(["B", "y"]), { code: "InvalidEnvironmentVariable" });
  assert.deepEqual(settings.environmentVariables, { A: "1", B: "x" });
  await change(["A", null], ["A", "2"], ["B", null]);
  assert.deepEqual(settings.environmentVariables, { A: "2" });
});

Deno.test("deploy-protocol §5: changes made side by side all count", async () => {
  const { settings } = setUp();
  await Promise.all(
    ["A", "B", "C"].map((name) => settings.changeEnvironmentVariables([{ name, value: name }])),
  );
  assert.deepEqual(settings.environmentVariables, { A: "A", B: "B", C: "C" });
});

Deno.test("DeploymentSettings changes nothing when the commit fails", async () => {
  const { live, settings, manifests } = setUp({ failCommits: true });
  live.activate(record);
  const changes = [{ name: "A", value: "1" }];
  await assert.rejects(settings.changeEnvironmentVariables(changes), /disk full/);
  await assert.rejects(settings.changeUrl("cloud", "http://other"), /disk full/);
  assert.deepEqual(settings.environmentVariables, {});
  assert.equal(settings.urls.cloud, "http://cloud");
  assert.equal(manifests.length, 1);
});

Deno.test("deploy-protocol 3.9: auth.config.js is evaluated again with new variables and URLs", async () => {
  const { live, settings, records, kept } = setUp();
  const authConfig = { ...record.modules[0]!, path: "auth.config.js" };
  live.activate({ ...record, modules: [authConfig] });
  const domains = () =>
    live.record!.authProviders.map((provider) => "domain" in provider && provider.domain);

  await settings.changeEnvironmentVariables([{ name: "ISSUER", value: "https://i" }]);
  assert.deepEqual(domains(), ["https://i", "http://site"]);
  assert.deepEqual(JSON.parse(records.get("deployment")!), live.record);
  await settings.changeUrl("site", "https://new");
  assert.deepEqual(domains(), ["https://i", "https://new"]);

  const removal = settings.changeEnvironmentVariables([{ name: "ISSUER", value: null }]);
  await assert.rejects(removal, /ISSUER is not set/);
  assert.deepEqual(settings.environmentVariables, { ISSUER: "https://i" });
  assert.deepEqual(await kept(), { ISSUER: "https://i" });

  live.activate({ ...live.record!, builtInVariables: { CONVEX_SITE_URL: "http://before" } });
  await settings.refreshAuthConfig();
  assert.deepEqual(live.record!.builtInVariables, settings.builtInVariables);
});

Deno.test("DeploymentSettings load() goes on with what was stored", async () => {
  const first = setUp();
  await first.settings.changeUrl("cloud", "https://api.example");
  const second = setUp();
  second.settings.load({ getRecord: (key) => first.records.get(key) ?? undefined });
  assert.deepEqual(second.settings.urls, { cloud: "https://api.example", site: "http://site" });
});
