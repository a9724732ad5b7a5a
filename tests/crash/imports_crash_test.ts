/** A server that is killed again and again while imports replace a table. */
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { makeFunctionReference } from "convex/server";
import { RestartingServer } from "../support/restarting_server.ts";
import { eventually } from "../support/waiting.ts";

const rounds = 5;
const documents = 3000;

interface Import {
  readonly state: { readonly state: string };
}

Deno.test("deploy-protocol §10: killed at any moment of an import, the server has the old documents or the new ones", async () => {
  await using server = await RestartingServer.start("tests/fixtures/uploads");
  const { adminKey } = server.current;
  const admin = server.clients.http({ adminKey });
  const imports = (): Promise<Import[]> =>
    admin.query(makeFunctionReference<"query">("_system/cli/queryImport:list"));

  const importVersion = async (version: number) => {
    const lines = Array.from({ length: documents }, (_, n) => JSON.stringify({ version, n }));
    const query = "format=jsonLines&mode=replace&tableName=versions";
    const response = await fetch(`${server.url}/api/import?${query}`, {
      method: "POST",
      headers: { authorization: `Convex ${adminKey}` },
      body: lines.join("\n"),
    });
    assert.equal(response.status, 200, await response.text());
  };
  const versions = async (): Promise<Record<string, number>> => {
    const source = `import { query } from "convex:/_system/repl/wrappers.js";
      export default query(async (ctx) => {
        const counts = {};
        for await (const { version } of ctx.db.query("versions")) {
          const name = "v" + version;
          counts[name] = (counts[name] ?? 0) + 1;
        }
        return counts;
      });`;
    const body = { adminKey, args: {}, bundle: { path: "testQuery.js", source }, format: "json" };
    const response = await fetch(`${server.url}/api/run_test_function`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return (await response.json()).value;
  };

  let acknowledged = 0;
  await importVersion(0);
  for (let round = 0; round < rounds; round++) {
    let next = acknowledged;
    const importing = (async () => {
      for (;;) {
        await importVersion(next + 1);
        acknowledged = ++next;
      }
    })().catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, randomInt(50, 700)));
    await server.kill();
    await importing;
    await server.startAgain();
    // What was confirmed goes on by itself.
    await eventually(
      async () =>
        (await imports()).every(({ state: { state } }) =>
          ["completed", "failed", "waiting_for_confirmation"].includes(state)
        ) || undefined,
      "the end of the imports that were under way",
    );
    const found = await versions();
    const [[version, count] = ["", 0], ...others] = Object.entries(found);
    assert.deepEqual([count, others], [documents, []], JSON.stringify(found));
    const number = Number(version.slice(1));
    assert.ok(number === acknowledged || number === acknowledged + 1, `${version} ${acknowledged}`);
    acknowledged = number;
  }
});
