import assert from "node:assert/strict";
import { FakeEnvironment } from "../../tests/support/fake_environment.ts";
import { appComponent } from "../database/component.ts";
import { RemovalHold } from "../persistence/removal_hold.ts";
import { InlineQueries } from "./inline_queries.ts";
import { LiveDeployment } from "./live_deployment.ts";

Deno.test("deploy-protocol 6.2: files of a query stay until it has run, though no deployment has them", async () => {
  const dataFolder = await Deno.makeTempDir();
  try {
    const removals = new RemovalHold();
    const held: boolean[] = [];
    const queries = new InlineQueries({
      dataFolder,
      live: new LiveDeployment({
        dataFolder,
        builtInVariables: () => ({}),
        fileStorageSecret: "s",
        use: () => {},
      }),
      isolates: {
        analyze: () => {
          held.push(removals.isHeld);
          const found = {
            ...{ name: "default", udfType: "Query", visibility: "public" } as const,
            ...{ args: null, returns: null, position: null },
          };
          const module = { functions: [found], httpRoutes: null, crons: null, exported: null };
          return Promise.resolve({ kind: "success", modules: { "testQuery.js": module } });
        },
      },
      environment: new FakeEnvironment(),
      removals,
      run: () => {
        held.push(removals.isHeld);
        return Promise.resolve({ ok: true, value: "1", logLines: [] });
      },
    });
    const query = { source: "export default 1;", args: "[{}]", component: appComponent };
    const context = { caller: { kind: "system", identity: null }, requestId: "r" } as const;
    await queries.run(query, { ...context, origin: "Tester" });
    assert.deepEqual([held, removals.isHeld], [[true, true], false]);
  } finally {
    await Deno.remove(dataFolder, { recursive: true });
  }
});
