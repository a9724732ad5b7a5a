import assert from "node:assert/strict";
import type { CatalogData } from "../database/catalog.ts";
import { zeroTimestamp } from "../database/timestamp.ts";
import type { DeploymentManifest } from "../isolate/protocol.ts";
import type { CatalogChange } from "../persistence/persistence.ts";
import type { DeploymentRecord } from "./deployment.ts";
import { LiveDeployment } from "./live_deployment.ts";

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
const urls = { cloud: "http://cloud", site: "http://site" };

/** A live deployment whose commits are kept in `records` and whose manifests in `active`. */
function setUp(options: { readonly failCommits?: boolean } = {}) {
  const records = new Map<string, string | null>();
  const active: DeploymentManifest[] = [];
  const live = new LiveDeployment({
    committer: {
      async changeCatalog(change: CatalogChange) {
        if (options.failCommits) throw new Error("disk full");
        for (const { key, json } of change.records ?? []) records.set(key, json);
        return { timestamp: zeroTimestamp, catalog: {} as CatalogData };
      },
    },
    functions: { setDeployment: (_record, manifest) => void active.push(manifest) },
  }, { dataFolder: "/data", defaultUrls: urls, fileStorageSecret: "s" });
  return { live, records, active };
}

Deno.test("LiveDeployment has no manifest before the first push, but keeps variables", async () => {
  const { live, active, records } = setUp();
  live.restore({
    deployment: undefined,
    environmentVariables: undefined,
    canonicalUrls: undefined,
  });
  await live.changeEnvironmentVariables([{ name: "A", value: "1" }]);
  assert.deepEqual([active.length, live.environmentVariables], [0, { A: "1" }]);
  await live.push(record, {}, { A: "1" });
  assert.deepEqual(active[0]!.environmentVariables, {
    A: "1",
    CONVEX_CLOUD_URL: "http://cloud",
    CONVEX_SITE_URL: "http://site",
  });
  assert.equal(active[0]!.modules[0]!.file, "/data/modules/f.js");
  assert.deepEqual([...records.keys()], ["environment_variables", "deployment"]);
});

Deno.test("deploy-protocol 5: a change of variables takes effect under a new manifest", async () => {
  const { live, active } = setUp();
  await live.push(record, {}, {});
  await live.changeEnvironmentVariables([{ name: "A", value: "1" }]);
  await live.changeUrl("site", "https://site.example");
  assert.equal(new Set(active.map(({ id }) => id)).size, 3);
  assert.equal(active[2]!.environmentVariables.A, "1");
  assert.equal(active[2]!.environmentVariables.CONVEX_SITE_URL, "https://site.example");
});

Deno.test("deploy-protocol 3.8: a push built with other variables is a race", async () => {
  const { live, active } = setUp();
  await live.changeEnvironmentVariables([{ name: "A", value: "1" }]);
  await assert.rejects(live.push(record, {}, {}), { code: "RaceDetected" });
  await assert.rejects(live.push(record, {}, { A: "2" }), { code: "RaceDetected" });
  assert.equal(active.length, 0);
});

Deno.test("LiveDeployment changes nothing when the commit fails, and goes on", async () => {
  const { live, active } = setUp({ failCommits: true });
  await assert.rejects(live.push(record, {}, {}), /disk full/);
  await assert.rejects(live.changeEnvironmentVariables([{ name: "A", value: "1" }]), /disk full/);
  assert.deepEqual([live.record, live.environmentVariables, active.length], [null, {}, 0]);
});

Deno.test("LiveDeployment restore() goes on with what was stored", async () => {
  const first = setUp();
  await first.live.changeEnvironmentVariables([{ name: "A", value: "1" }]);
  await first.live.push(record, {}, { A: "1" });
  await first.live.changeUrl("cloud", "https://api.example");
  const stored = (key: string) => first.records.get(key) ?? undefined;
  const second = setUp();
  second.live.restore({
    deployment: stored("deployment"),
    environmentVariables: stored("environment_variables"),
    canonicalUrls: stored("canonical_urls"),
  });
  assert.deepEqual(second.live.record, record);
  assert.deepEqual(second.live.urls, { cloud: "https://api.example", site: "http://site" });
  assert.equal(second.active[0]!.environmentVariables.A, "1");
});
