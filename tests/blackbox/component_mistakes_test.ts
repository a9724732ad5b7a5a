/** Definitions that do not fit together, as their authors learn of them: nothing is pushed. */
import assert from "node:assert/strict";
import { ApiClient, ApiError } from "../../cli/api_client.ts";
import { tryPush } from "../../cli/push.ts";
import { loadAppFolder } from "../../src/deploy/app_folder.ts";
import { bundleApp } from "../../src/deploy/bundle.ts";
import { makeApp } from "../support/apps.ts";
import { ServerProcess } from "../support/server_process.ts";

type Files = Readonly<Record<string, string>>;

const imports = `import { defineApp, defineComponent } from "convex/server";
import { v } from "convex/values";
`;
const appUsing = (use: string, options = "") =>
  `${imports}import child from "./child/convex.config";
const app = defineApp(${options});
${use}
export default app;`;
const child = (options = "", more = "") =>
  `${imports}${more}const component = defineComponent("child"${options && `, ${options}`});
export default component;`;
const http = (route: string) =>
  `import { httpActionGeneric, httpRouter } from "convex/server";
const http = httpRouter();
http.route({ ${route}, method: "GET", handler: httpActionGeneric(async () => new Response()) });
export default http;`;

const crons = (name: string) =>
  `import { cronJobs, makeFunctionReference } from "convex/server";
const crons = cronJobs();
crons.interval("tick", { hours: 1 }, makeFunctionReference("${name}"), {});
export default crons;`;

/** What the server says to an app of these files in `convex/`. */
async function refusal(server: ServerProcess, files: Files): Promise<[code: string, text: string]> {
  const folder = await makeApp({
    files: Object.fromEntries(
      Object.entries(files).map(([path, text]) => [`convex/${path}`, text]),
    ),
  });
  try {
    const app = await loadAppFolder(folder);
    const client = new ApiClient(server.url, server.adminKey);
    await tryPush(client, app, await bundleApp(app));
    return ["accepted", ""];
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    assert.equal(error.status, 400);
    return [error.code, error.message];
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** An app that uses one component. */
const usingChild = (use: string, options: { app?: string; child?: string } = {}): Files => ({
  "convex.config.ts": appUsing(use, options.app),
  "child/convex.config.ts": child(options.child),
});

const mistakes: Record<string, [Files, code: string, text: RegExp][]> = {
  "components 5: definitions must be definitions, and not use each other in a circle": [
    [
      {
        "convex.config.ts": appUsing("app.use(child);"),
        "child/convex.config.ts":
          `${imports}import other from "../other/convex.config"; const c = defineComponent("child"); c.use(other); export default c;`,
        "other/convex.config.ts":
          `${imports}import child from "../child/convex.config"; const c = defineComponent("other"); c.use(child); export default c;`,
      },
      "CyclicImport",
      /Found cyclic definition dependency/,
    ],
    [
      {
        "convex.config.ts": appUsing("app.use(child);"),
        "child/convex.config.ts": `${imports}export default defineApp();`,
      },
      "InvalidDefinition",
      /in component `child` has an invalid value/,
    ],
    [
      { "convex.config.ts": "export default {};" },
      "InvalidDefinition",
      /in your app.*missing `export` property/,
    ],
    [
      { "convex.config.ts": "export default 1;" },
      "InvalidDefinition",
      /is not an object.*defineApp\(\)/,
    ],
    [{ "convex.config.ts": "export const a = 1;" }, "InvalidDefinition", /missing default export/],
    [
      { "convex.config.ts": `${imports}export const a = 1; export default defineApp();` },
      "InvalidDefinition",
      /more than one export/,
    ],
    [
      { "convex.config.ts": `${imports}export default defineComponent("app");` },
      "InvalidDefinition",
      /in your app has an invalid value \(it defines a component\)/,
    ],
    [
      usingChild(`app.use(child, { name: "no-name" });`),
      "InvalidDefinition",
      /"no-name" is no name for a component/,
    ],
    [
      { "convex.config.ts": `throw new Error("mine");` },
      "InvalidConvexConfig",
      /Uncaught Error: mine/,
    ],
    [
      {
        "convex.config.ts": appUsing("app.use(child);"),
        "child/convex.config.ts": `throw new Error("theirs");`,
      },
      "InvalidConvexConfig",
      /In component `child`: Uncaught Error: theirs[^]*child\/convex\.config\.ts:1/,
    ],
  ],
  "components 6, §2.3: a component's definition reads no variables, no definition time or randomness":
    [
      [
        { "convex.config.ts": `console.log(Math.random()); ${imports}export default defineApp();` },
        "InvalidConvexConfig",
        /NoRandomnessDuringDefinitionEvaluation/,
      ],
      [
        {
          "convex.config.ts": appUsing("app.use(child);"),
          "child/convex.config.ts": child("", "console.log(new Date());\n"),
        },
        "InvalidConvexConfig",
        /In component `child`: NoClockDuringDefinitionEvaluation/,
      ],
      [
        {
          "convex.config.ts": appUsing("app.use(child);"),
          "child/convex.config.ts": child("", "if (process.env.X) throw new Error();\n"),
        },
        "InvalidConvexConfig",
        /In component `child`: Environment variable X/,
      ],
    ],
  "components 7: variables must be bound to what can be their values": [
    [
      usingChild("app.use(child);", { child: "{ env: { X: v.string() } }" }),
      "TypecheckError",
      /^Component child is missing required env var X/,
    ],
    [
      usingChild("app.use(child, { env: { X: 'a' } });"),
      "TypecheckError",
      /^Component child has no env var named X/,
    ],
    [
      usingChild("app.use(child, { name: 'other', env: { X: 'c' } });", {
        child: "{ env: { X: v.union(v.literal('a'), v.literal('b')) } }",
      }),
      "TypecheckError",
      /^Component other has an invalid value for env var X: "c"/,
    ],
    [
      usingChild("app.use(child, { env: { X: { __envVarRef: 'Y' } } });", {
        child: "{ env: { X: v.string() } }",
      }),
      "TypecheckError",
      /^Component child env var X references undeclared parent env var Y/,
    ],
    [
      usingChild("app.use(child, { env: { X: app.env.Y } });", {
        app: "{ env: { Y: v.optional(v.string()) } }",
        child: "{ env: { X: v.string() } }",
      }),
      "TypecheckError",
      /^Component child env var X is required, but parent env var Y is optional/,
    ],
    [
      usingChild("app.use(child, { env: { X: app.env.Y } });", {
        app: "{ env: { Y: v.string() } }",
        child: "{ env: { X: v.literal('a') } }",
      }),
      "TypecheckError",
      /^Component child env var X validator is not satisfied by parent env var Y validator/,
    ],
    [
      usingChild("app.use(child); app.use(child);"),
      "TypecheckError",
      /multiple child components with the same name: child/,
    ],
  ],
  "components 10: variables are strings": [
    [
      usingChild("app.use(child);", { app: "{ env: { Y: v.number() } }" }),
      "InvalidEnvVarDeclaration",
      /^Env var `Y` on the app has a non-string validator/,
    ],
    [
      usingChild("app.use(child);", { child: "{ env: { X: v.union(v.string(), v.null()) } }" }),
      "InvalidEnvVarDeclaration",
      /^Env var `X` on the component child has a non-string validator/,
    ],
  ],
  "components §3: HTTP mounts lead to routes that nobody else has": [
    [
      usingChild("app.use(child, { httpPrefix: '/p' });"),
      "TypecheckError",
      /^HTTP mount \/p\/ is invalid: Child component child doesn't have any HTTP routes/,
    ],
    [
      {
        ...usingChild("app.use(child, { httpPrefix: '/p/' });"),
        "child/http.ts": http(`path: "/x"`),
        "http.ts": http(`pathPrefix: "/p/"`),
      },
      "TypecheckError",
      /^HTTP mount \/p\/ is invalid: Overlap with existing prefix route/,
    ],
  ],
  "components §2.4, §3: code of a component is refused as the app's is, with its name": [
    [
      { ...usingChild("app.use(child);"), "child/m.ts": "export const a = nothing;" },
      "InvalidModules",
      /In component `child`: [^]*Failed to analyze m\.js: Uncaught ReferenceError: nothing/,
    ],
    [
      {
        ...usingChild("app.use(child, { httpPrefix: '/p/' });"),
        "child/http.ts": `export default nothing.at.all;`,
      },
      "InvalidModules",
      /In component `child`: [^]*Failed to analyze http\.js: Uncaught ReferenceError: nothing/,
    ],
    [
      {
        ...usingChild("app.use(child, { httpPrefix: '/p/' });"),
        "child/http.ts": `export default 1;`,
      },
      "InvalidModules",
      /In component `child`: [^]*http\.js` is not a Router/,
    ],
    [
      {
        ...usingChild("app.use(child);"),
        "child/crons.ts": crons("missing:gone"),
      },
      "InvalidModules",
      /In component `child`: [^]*The cron job 'tick' schedules a function that does not exist: missing:gone/,
    ],
    [
      { ...usingChild("app.use(child);"), "child/schema.ts": "export default 1;" },
      "InvalidSchemaExport",
      /In component `child`: /,
    ],
    [
      {
        ...usingChild("app.use(child);"),
        "child/foo.ts":
          `import { queryGeneric } from "convex/server"; export const bar = queryGeneric(() => 1);`,
        "child/foo/bar.ts":
          `import { queryGeneric } from "convex/server"; export const baz = queryGeneric(() => 1);`,
      },
      "InvalidExport",
      /In component `child`: Path "foo\.js":bar conflicts with existing export/,
    ],
  ],
};

Deno.test("mistakes in definitions of components", async (t) => {
  await using server = await ServerProcess.start();
  for (const [name, cases] of Object.entries(mistakes)) {
    await t.step(name, async () => {
      for (const [files, code, text] of cases) {
        const [actualCode, actualText] = await refusal(server, files);
        assert.equal(actualCode, code, actualText);
        assert.match(actualText.replace(/^Hit an error while pushing:\n/, ""), text);
      }
    });
  }

  await t.step(
    "components §3: mounts beside routes that only begin alike are accepted",
    async () => {
      const answer = await refusal(server, {
        ...usingChild("app.use(child, { httpPrefix: '/p/' });"),
        "child/http.ts": http(`path: "/x"`),
        "http.ts": http(`pathPrefix: "/p/q/"`),
      });
      assert.deepEqual(answer, ["accepted", ""]);
    },
  );
});
