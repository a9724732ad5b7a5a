/** The requests of a push, sent by hand: how bodies arrive, and what is answered to mistakes. */
import assert from "node:assert/strict";
import { brotliCompressSync, constants } from "node:zlib";
import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
import { api } from "../support/api.ts";
import { makeApp } from "../support/apps.ts";
import { Clients } from "../support/clients.ts";
import { postJson } from "../support/http.ts";
import { SchemaPushes, type StartedPush } from "../support/schema_pushes.ts";
import { ServerProcess } from "../support/server_process.ts";

const functions = `
import { query } from "./_generated/server";
export const one = query({ args: {}, handler: () => 1 });
`;

Deno.test("the requests of a push", async (t) => {
  const app = await makeApp({ files: { "convex/app.ts": functions } });
  await using server = await ServerProcess.start();
  const pushes = await SchemaPushes.open(app, server);
  const schema = defineSchema({ notes: defineTable({ n: v.number() }).index("by_n", ["n"]) });
  const asAdmin = { authorization: `Convex ${server.adminKey}` };
  const post = (path: string, body: unknown, headers = {}) =>
    postJson(`${server.url}/api/${path}`, body, { ...asAdmin, ...headers });

  await t.step("deploy-protocol 4: bodies arrive plain or compressed", async () => {
    const plain = await post("deploy2/start_push", pushes.startRequest(schema));
    assert.equal(plain.status, 200, JSON.stringify(plain.body));
    const compressed = await pushes.start(schema);
    assert.deepEqual(compressed.schemaChange.schemaIds, plain.body.schemaChange.schemaIds);
  });

  await t.step("deploy-protocol 4, 23: a body may have 200 MB when it is unpacked", async () => {
    const report = brotliCompressSync('{"spans":[]}'.padEnd(200_000_000), {
      params: { [constants.BROTLI_PARAM_QUALITY]: 1 },
    });
    const answer = await fetch(`${server.url}/api/deploy2/report_push_completed`, {
      method: "POST",
      headers: { ...asAdmin, "content-type": "application/json", "content-encoding": "br" },
      body: new Uint8Array(report),
    });
    assert.deepEqual([answer.status, await answer.json()], [200, null]);
  });

  await t.step("deploy-protocol 6: a preflight mirrors origin and headers", async () => {
    for (const path of ["deploy2/start_push", "get_config_hashes", "query"]) {
      const { status, headers, body } = await fetch(`${server.url}/api/${path}`, {
        method: "OPTIONS",
        headers: {
          "origin": "https://a.example",
          "access-control-request-method": "POST",
          "access-control-request-headers": "authorization,content-encoding",
        },
      });
      await body?.cancel();
      assert.ok(status === 200 || status === 204);
      assert.equal(headers.get("access-control-allow-origin"), "https://a.example");
      assert.equal(headers.get("access-control-allow-headers"), "authorization,content-encoding");
    }
  });

  await t.step(
    "deploy-protocol 12: finish_push takes an echo with its keys reordered",
    async () => {
      const started = await pushes.start(schema);
      assert.equal((await pushes.wait(started)).type, "complete");
      const echo = reversed(started) as StartedPush;
      assert.notEqual(JSON.stringify(echo), JSON.stringify(started));
      assert.deepEqual((await pushes.finish(echo)).added_indexes.map(({ name }) => name), [
        "notes.by_n",
      ]);
      const client = new Clients(server).http();
      assert.equal(await client.query(api.app.one), 1);
    },
  );

  await t.step("deploy-protocol 19: evaluate_schema is answered", async () => {
    const indexed = defineSchema({ notes: defineTable({ n: v.number() }).index("by_m", ["n"]) });
    const { status, body } = await post("deploy2/evaluate_schema", pushes.startRequest(indexed));
    assert.equal(status, 200);
    const { indexes } = body.componentSchemaEvaluations[""];
    assert.deepEqual(
      indexes.map(({ name, change }: { name: string; change: string }) => [name, change]),
      [["notes.by_m", "added"], ["notes.by_n", "dropped"]],
    );
  });

  await t.step(
    "deploy-protocol 5: what the developer has to mend is answered with 400",
    async () => {
      const request = pushes.startRequest(null);
      const withModule = (path: string, source: string) => ({
        ...request,
        appDefinition: {
          ...request.appDefinition,
          changedModules: [
            ...request.appDefinition.changedModules,
            { path, source, environment: "isolate" },
          ],
        },
      });
      const withSchema = (source: string) => ({
        ...request,
        appDefinition: {
          ...request.appDefinition,
          schema: { path: "schema.js", source, environment: "isolate" },
        },
      });
      const mistakes: readonly (readonly [code: string, body: unknown])[] = [
        ["BadJsonBody", "{"],
        ["InvalidConfig", {}],
        ["InvalidConfig", { ...request, nodeVersion: "7" }],
        ["NodeVersionNotSupported", { ...request, nodeVersion: "18" }],
        ["BadConvexModuleIdentifier", withModule("a b.js", "export {};")],
        ["InvalidModules", withModule("a.js", "export const = 1;")],
        ["InvalidModules", withModule("a.js", 'throw new Error("while loading");')],
        ["InvalidModules", withModule("a.js", 'import "./missing.js";')],
        ["InvalidSchemaExport", withSchema("export default 1;")],
        ["MissingSchemaExportError", withSchema("export {};")],
        ["AuthConfigMissingExportError", withModule("auth.config.js", "export {};")],
        [
          "AuthConfigMissingEnvironmentVariable",
          withModule(
            "auth.config.js",
            "export default { providers: [{ domain: process.env.X }] };",
          ),
        ],
      ];
      for (const [code, body] of mistakes) {
        const answer = await post("deploy2/start_push", body);
        const told = JSON.stringify(answer.body);
        assert.deepEqual([answer.status, answer.body.code], [400, code], told);
        assert.deepEqual(Object.keys(answer.body).sort(), ["code", "message"]);
        assert.ok(answer.body.message.length > 20, told);
      }
    },
  );

  await Deno.remove(app, { recursive: true });
});

/** The same value, the keys of all objects in it in the opposite order. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).reverse().map(([key, inner]) => [key, reversed(inner)]),
  );
}
