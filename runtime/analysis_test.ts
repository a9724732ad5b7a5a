import assert from "node:assert/strict";
import type { AnalyzedModule } from "../src/isolate/protocol.ts";
import { bundleSources, IsolateHarness } from "../tests/support/isolate_harness.ts";

const good = await bundleSources({
  "messages.ts": `
import { query, mutation, customQuery } from "./wrappers";
import { internalActionGeneric } from "convex/server";
import { v } from "convex/values";

export const send = mutation({ args: { body: v.string() }, returns: v.null(), handler: async () => null });
export const list = query(() => []);
export const helper = () => 1;
export const constant = 5;
export default internalActionGeneric({ args: v.object({}), handler: async () => {} });
export const wrapped = customQuery(() => 2);
`,
  "wrappers.ts": `
import { queryGeneric, mutationGeneric } from "convex/server";
export const query = queryGeneric, mutation = mutationGeneric;
export const customQuery = (handler: any) => queryGeneric({ args: {}, handler: async () => await handler() });
`,
  "http.ts": `
import { httpRouter, httpActionGeneric } from "convex/server";
const http = httpRouter();
const handler = httpActionGeneric(async () => new Response());
http.route({ path: "/b", method: "POST", handler });
http.route({ path: "/a", method: "GET", handler });
http.route({ pathPrefix: "/p/", method: "GET", handler });
export default http;
`,
  "crons.ts": `
import { cronJobs, makeFunctionReference } from "convex/server";
const crons = cronJobs();
crons.interval("clean", { minutes: 5 }, makeFunctionReference<any>("messages:send") as any, { body: "x" });
export default crons;
`,
  "schema.ts": `
import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
export default defineSchema({ messages: defineTable({ body: v.string() }).index("by_body", ["body"]) });
`,
  "auth.config.ts":
    `export default { providers: [{ domain: process.env.DOMAIN, applicationID: "app" }] };`,
  "convex.config.ts": `import { defineApp } from "convex/server"; export default defineApp();`,
});

Deno.test("analysis of a push", async (t) => {
  await using isolate = await IsolateHarness.start(new Map(), { kind: "transaction" });
  const modulesOf = async (environment = {}) => {
    const result = await isolate.analyze(good, environment);
    assert.equal(result.kind, "success", JSON.stringify(result));
    return (result as { modules: Record<string, AnalyzedModule> }).modules;
  };
  const problemOf = async (sources: Record<string, string>) => {
    const result = await isolate.analyze(await bundleSources(sources));
    return result.kind === "failure" ? [result.module, result.message] : result;
  };

  await t.step("function-abi 21.2: functions, validators, positions", async () => {
    const { "messages.js": messages, "wrappers.js": wrappers } = await modulesOf({ DOMAIN: "d" });
    assert.deepEqual(
      messages!.functions.map(({ name, udfType, visibility }) => [name, udfType, visibility]),
      [
        ["send", "Mutation", "public"],
        ["list", "Query", "public"],
        ["default", "Action", "internal"],
        ["wrapped", "Query", "public"],
      ],
    );
    const [send, list, , wrapped] = messages!.functions;
    assert.equal(
      send!.args,
      `{"type":"object","value":{"body":{"fieldType":{"type":"string"},"optional":false}}}`,
    );
    assert.equal(send!.returns, `{"type":"null"}`);
    assert.deepEqual([list!.args, list!.returns], [`{"type":"any"}`, null]);
    assert.deepEqual(send!.position, { path: "messages.js", line: 6, column: 88 });
    assert.equal(list!.position!.line, 7);
    assert.equal(wrapped!.position, null);
    assert.deepEqual(wrappers!.functions, []);
  });

  await t.step("function-abi §21: routes, crons, schema, settings", async () => {
    const modules = await modulesOf({ DOMAIN: "https://issuer" });
    assert.deepEqual(modules["http.js"]!.httpRoutes, [
      { path: "/a", method: "GET" },
      { path: "/b", method: "POST" },
      { path: "/p/*", method: "GET" },
    ]);
    assert.deepEqual(JSON.parse(modules["crons.js"]!.crons!), {
      clean: {
        name: "messages:send",
        args: [{ body: "x" }],
        schedule: { minutes: 5, type: "interval" },
      },
    });
    assert.equal(JSON.parse(modules["schema.js"]!.exported!).tables[0].tableName, "messages");
    assert.deepEqual(JSON.parse(modules["auth.config.js"]!.exported!), {
      providers: [{ domain: "https://issuer", applicationID: "app" }],
    });
    assert.equal(JSON.parse(modules["convex.config.js"]!.exported!).definitionType.type, "app");
  });

  await t.step("function-abi 90-94: what is wrong with a module", async () => {
    const result = await isolate.analyze(good);
    assert.deepEqual(result.kind === "failure" && [result.module, result.message], [
      "auth.config.js",
      "Environment variable DOMAIN is used in auth config file but its value was not set",
    ]);
    assert.deepEqual(
      await problemOf({
        "a.ts": `console.log("loading", 1);\nexport const x = 1;\nthrow new Error("no");`,
      }),
      ["a.js", "Uncaught Error: no\n    at ../convex/a.ts:3:7\n\n[LOG] 'loading' 1"],
    );
    const [, undefinedValidator] = await problemOf({
      "a.ts": `import { queryGeneric } from "convex/server";
        export const x = queryGeneric({ args: { a: undefined as any }, handler: () => 1 });`,
    }) as string[];
    assert.match(undefinedValidator!, /^Uncaught Error: A validator is undefined for field "a"/);
    const problems: [Record<string, string>, string][] = [
      [
        { "http.ts": `export default {};` },
        "The default export of `convex/http.js` is not a Router.",
      ],
      [{ "http.ts": `export const a = 1;` }, `Couldn't find default export in module "http.js".`],
      [
        { "schema.ts": `export const a = 1;` },
        "Schema file missing default export. To learn more, see the schema documentation at https://docs.convex.dev/database/schemas.",
      ],
      [
        { "schema.ts": `export default { env: process.env.X };` },
        "Environment variables unsupported when evaluating schema",
      ],
      [
        { "schema.ts": `export default { a: 1 };` },
        "Default export from schema file isn't a Convex schema. To learn more, see the schema documentation at https://docs.convex.dev/database/schemas.",
      ],
      [
        { "a.ts": `export const x: any = () => 1; x.isQuery = true; x.exportArgs = () => 5;` },
        "Invalid exportArgs return value: a.js:x.exportArgs() didn't return a string.",
      ],
      [
        { "a.ts": `export const x: any = () => 1; x.isQuery = true; x.exportArgs = 5;` },
        "a.js:x.exportArgs is not a function or `undefined`.",
      ],
    ];
    for (const [sources, message] of problems) {
      assert.deepEqual(await problemOf(sources), [
        Object.keys(sources)[0]!.replace(".ts", ".js"),
        message,
      ]);
    }
  });

  await t.step("function-abi 90: what is no function of the app is passed over", async () => {
    const result = await isolate.analyze(
      await bundleSources({
        "a.ts": `export const both: any = () => 1; both.isQuery = both.isMutation = true;
        export const none = { isHttp: true };`,
      }),
    );
    assert.deepEqual(result.kind === "success" && result.modules["a.js"]!.functions, []);
  });

  await t.step("modules see the time and the randomness of the push", async () => {
    const [, message] = await problemOf({
      "a.ts": `throw new Error([Date.now(), Math.random() === Math.random()].join());`,
    }) as string[];
    assert.match(message!, /^Uncaught Error: 1600000000000,false/);
  });
});
