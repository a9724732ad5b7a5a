import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { loadAppFolder } from "./app_folder.ts";
import { type AppBundle, bundleApp } from "./bundle.ts";
import { hasUseNodeDirective } from "./entry_points.ts";

const query = `import { queryGeneric } from "convex/server";\n`;

/** Runs `test` on an app folder with these files, outside of any `node_modules`. */
async function withApp(files: Record<string, string>, test: (path: string) => Promise<void>) {
  const path = await Deno.makeTempDir({ prefix: "hull-bundle-" });
  try {
    for (const [name, text] of Object.entries(files)) {
      await Deno.mkdir(dirname(join(path, name)), { recursive: true });
      await Deno.writeTextFile(join(path, name), text);
    }
    await test(path);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

const bundle = async (path: string): Promise<AppBundle> => bundleApp(await loadAppFolder(path));
const pathsOf = (app: AppBundle) => app.modules.map((module) => module.path).sort();

Deno.test("bundleApp makes a module of each entry point and leaves the other files out", () =>
  withApp({
    "convex/messages.ts": `${query}export const list = queryGeneric(() => 1);`,
    "convex/dir/users.js": "export const a = 1;",
    "convex/schema.ts":
      `import { defineSchema } from "convex/server"; export default defineSchema({});`,
    "convex/auth.config.ts": "export default { providers: [] };",
    "convex/messages.test.ts": "export const no = 1;",
    "convex/.hidden.ts": "export const no = 1;",
    "convex/#messages.ts": "export const no = 1;",
    "convex/with space.ts": "export const no = 1;",
    "convex/script.ts": "const noExport = 1;",
    "convex/_generated/api.js": "export const no = 1;",
    "convex/notes.md": "no",
    "convex/component/convex.config.ts": "export default {};",
    "convex/component/inside.ts": "export const no = 1;",
  }, async (path) => {
    const app = await bundle(path);
    const paths = pathsOf(app).filter((path) => !path.startsWith("_deps/"));
    assert.deepEqual(paths, ["auth.config.js", "dir/users.js", "messages.js"]);
    assert.equal(app.schema?.path, "schema.js");
    assert.equal(app.definition.path, "convex.config.js");
    assert.deepEqual(app.warnings, [
      "with space.ts is left out, because there is a space in its name.",
    ]);
    const messages = app.modules.find((module) => module.path === "messages.js")!;
    assert.match(messages.source, /^\/\/# sourceMappingURL=/m);
    const map = JSON.parse(messages.sourceMap!);
    assert.equal(map.sourcesContent, undefined);
    assert.ok(map.sources.includes("../convex/messages.ts"), map.sources.join());
    assert.ok(app.inputs.includes(join(path, "convex/messages.ts")));
  }));

Deno.test("bundleApp shares code in chunks, Node modules apart from isolate modules", () =>
  withApp({
    "convex/a.ts": `import { big } from "./lib/big"; export const a = big;`,
    "convex/b.ts": `import { big } from "./lib/big"; export const b = big;`,
    "convex/n.ts":
      `"use node";\nimport { big } from "./lib/big"; import fs from "node:fs"; export const n = [big, fs];`,
    "convex/lib/big.ts": "export const big = { text: Math.random() };",
  }, async (path) => {
    const app = await bundle(path);
    const chunk = app.modules.find((module) => module.path.startsWith("_deps/"))!;
    assert.match(chunk.path, /^_deps\/[A-Z0-9]{8}\.js$/);
    const a = app.modules.find((module) => module.path === "a.js")!;
    assert.ok(a.source.includes(`"./${chunk.path}"`), a.source);
    const n = app.modules.find((module) => module.path === "n.js")!;
    assert.equal(n.environment, "node");
    assert.ok(!n.source.includes(chunk.path));
  }));

Deno.test("bundleApp reports file, line and code frame of a syntax error", () =>
  withApp({ "convex/broken.ts": "export const a = 1;\nexport const b = ;\n" }, async (path) => {
    await assert.rejects(bundle(path), (error: Error) => {
      assert.equal(error.name, "AppError");
      assert.match(error.message, /convex\/broken\.ts:2:17/);
      assert.match(error.message, /export const b = ;\n.*[~^]/);
      return true;
    });
  }));

Deno.test("bundleApp says of two files that they would be one module", () =>
  withApp(
    { "convex/a.js": "export const a = 1;", "convex/a.ts": "export const a = 2;" },
    (path) =>
      assert.rejects(bundle(path), { message: /^a\.js and a\.ts would both be the module a\./ }),
  ));

Deno.test("bundleApp says how to install a package that is not there", () =>
  withApp({
    "convex/a.ts":
      'import x from "@acme/left-pad/sub"; import y from "./b"; export const a = [x, y];',
  }, (path) =>
    assert.rejects(bundle(path), ({ message }: Error) => {
      assert.match(message, /install it in the app's folder: npm install @acme\/left-pad\n/);
      assert.equal(message.match(/npm install/g)?.length, 1, message);
      assert.doesNotMatch(message, /external/);
      return true;
    })));

Deno.test("bundleApp explains Node.js APIs in a file without the directive", () =>
  withApp({
    "convex/a.ts": `import fs from "fs"; export const a = fs;`,
  }, async (path) => {
    await assert.rejects(bundle(path), /convex\/a\.ts:1:15[^]*begins with "use node"/);
  }));

Deno.test("bundleApp names the isolate file that imports a Node file", () =>
  withApp({
    "convex/a.ts": `import { n } from "./n.js"; export const a = n;`,
    "convex/n.ts": `"use node";\nimport fs from "fs"; export const n = fs;`,
  }, async (path) => {
    await assert.rejects(
      bundle(path),
      /convex\/a\.ts imports convex\/n\.ts, which begins with "use node"/,
    );
  }));

Deno.test("bundleApp warns when the imported Node file happens to bundle", () =>
  withApp({
    "convex/a.ts": `import { n } from "./n"; export const a = n;`,
    "convex/n.ts": `"use node";\nexport const n = 1;`,
  }, async (path) => {
    const { warnings } = await bundle(path);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, /convex\/a\.ts imports convex\/n\.ts/);
  }));

Deno.test("bundleApp refuses what Hull cannot run yet, and what the protocol forbids", async () => {
  const refused: [Record<string, string>, RegExp][] = [
    [{
      "convex.json": `{"node": {"externalPackages": ["sharp"]}}`,
      "convex/n.ts": `"use node";\nexport const a = 1;`,
    }, /names "sharp" in node\.externalPackages, but package\.json does not/],
    [{
      "convex.json": `{"node": {"externalPackages": ["sharp"]}}`,
      "package.json": `{"dependencies": {"sharp": "^1.0.0"}}`,
      "convex/n.ts": `"use node";\nexport const a = 1;`,
    }, /but it is not in node_modules: run npm install/],
    [{
      "node_modules/native/package.json": `{"name": "native", "version": "1.0.0"}`,
      "node_modules/native/index.js": `module.exports = require("./x.node");`,
      "node_modules/native/x.node": "",
      "convex/n.ts": `"use node";\nimport x from "native"; export const a = x;`,
    }, /native code cannot be bundled\. Name it in "node\.externalPackages"/],
    [{
      "convex/convex.config.ts":
        `import c from "@convex-dev/workpool/convex.config"; export default c;`,
      "convex/a.ts": "export const a = 1;",
    }, /Could not resolve "@convex-dev\/workpool\/convex.config"/],
    [{ "convex/http.ts": `"use node";\nexport default 1;` }, /"use node" directive is not allowed/],
    [{ "convex/actions/a.ts": `export default 1;` }, /does not begin with "use node"/],
    [{ "convex/_deps/a.ts": `export default 1;` }, /reserved/],
    [{ "convex/auth.config.ts": "", "convex/auth.config.js": "" }, /Found both/],
    [{ "convex.json": "{", "convex/a.ts": "" }, /convex\.json is not valid JSON/],
    [{ "convex.json": `{"functions": "src/convex"}` }, /There is no folder .*src\/convex/],
  ];
  for (const [files, message] of refused) {
    await withApp(files, (path) => assert.rejects(bundle(path), message));
  }
});

Deno.test("deploy-protocol 3.4: external packages stay imports of Node modules, with the versions installed", async () => {
  const manifest = (version: string, more = {}) =>
    JSON.stringify({ version, main: "i.js", ...more });
  const files = {
    "package.json": JSON.stringify({
      dependencies: {
        one: "^1.0.0",
        "@s/two": "2.x",
        peer: "*",
        local: "file:../local",
        convex: "*",
      },
      devDependencies: { unused: "*" },
    }),
    "node_modules/one/package.json": manifest("1.2.3", { peerDependencies: { peer: "*" } }),
    "node_modules/one/i.js": "exports.one = 'bundled one';",
    "node_modules/@s/two/package.json": manifest("2.0.0-beta.1"),
    "node_modules/@s/two/i.js": "exports.two = 'bundled two';",
    "node_modules/peer/package.json": manifest("3.0.0"),
    "node_modules/unused/package.json": manifest("4.0.0"),
    "node_modules/local/package.json": manifest("5.0.0"),
    "node_modules/local/i.js": "exports.local = 'bundled local';",
    "convex/a.ts": `import { one } from "one"; export const a = one;`,
    "convex/n.ts": [
      `"use node";`,
      `import { one } from "one"; import { two } from "@s/two/i.js"; import { local } from "local";`,
      `import fs from "node:fs"; export const n = [one, two, local, fs];`,
    ].join("\n"),
  };
  const dependencies = [
    { name: "@s/two", version: "2.0.0-beta.1" },
    { name: "one", version: "1.2.3" },
    { name: "peer", version: "3.0.0" },
  ];
  const convexJson = (names: string[]) => JSON.stringify({ node: { externalPackages: names } });
  await withApp({ ...files, "convex.json": convexJson(["*"]) }, async (path) => {
    const { modules, nodeDependencies } = await bundle(path);
    assert.deepEqual(nodeDependencies, dependencies);
    const source = (name: string) => modules.find((module) => module.path === name)!.source;
    assert.match(source("n.js"), /from"?\s*"one"/);
    assert.match(source("n.js"), /"@s\/two\/i\.js"/);
    assert.match(source("n.js"), /bundled local/);
    assert.match(source("a.js"), /bundled one/);
  });
  await withApp({ ...files, "convex.json": convexJson(["@s/two"]) }, async (path) => {
    assert.deepEqual((await bundle(path)).nodeDependencies, dependencies.slice(0, 1));
  });
});

Deno.test("loadAppFolder takes the Node.js version of convex.json, else of .nvmrc", async () => {
  const cases: [Record<string, string>, string | null][] = [
    [{ "convex.json": `{"node": {"nodeVersion": "22"}}`, ".nvmrc": "20" }, "22"],
    [{ ".nvmrc": "v22.3.0\n" }, "22"],
    [{ ".nvmrc": "24" }, "24"],
    [{ ".nvmrc": "lts/Iron" }, "20"],
    [{ ".nvmrc": "18.1" }, null],
    [{ ".nvmrc": "lts/*" }, null],
    [{}, null],
  ];
  for (const [files, version] of cases) {
    await withApp({ "convex/a.ts": "", ...files }, async (path) => {
      assert.equal((await loadAppFolder(path)).nodeVersion, version);
    });
  }
});

Deno.test("bundleApp inlines WebAssembly and replaces async_hooks and server-only", () =>
  withApp({
    "convex/a.ts": `import "server-only"; import { AsyncLocalStorage } from "node:async_hooks";
import wasm from "./empty.wasm"; export const a = [AsyncLocalStorage, wasm];`,
    "convex/empty.wasm": "\0asm\x01\0\0\0",
  }, async (path) => {
    const [module] = (await bundle(path)).modules;
    assert.match(module!.source, /new WebAssembly\.Module/);
    assert.match(module!.source, /globalThis/);
    assert.doesNotMatch(module!.source, /^import/m);
  }));

Deno.test("hasUseNodeDirective looks at the directives a file begins with", () => {
  const yes = [
    `"use node"`,
    `'use node';`,
    `// note\n/* more\n */ "use strict"; "use node"; import "x";`,
    `#!/usr/bin/env node\n"use node"\nimport "x"`,
    `"use node" // why`,
  ];
  const no = [
    ``,
    `import "x"; "use node";`,
    `const a = "use node";`,
    `"use node".length;`,
    `// "use node"`,
    `"use node" + 1`,
  ];
  for (const source of yes) assert.equal(hasUseNodeDirective(source), true, source);
  for (const source of no) assert.equal(hasUseNodeDirective(source), false, source);
});

Deno.test("bundleApp shows by which imports a file came to a module of Node.js", () =>
  withApp({
    "convex/a.ts": `import { helper } from "./lib/helper"; export const a = helper;`,
    "convex/lib/helper.ts": `export { helper } from "pack";`,
    "node_modules/pack/package.json": `{"name":"pack","main":"index.js"}`,
    "node_modules/pack/index.js": `exports.helper = require("./deep.js");`,
    "node_modules/pack/deep.js": `module.exports = require("node:fs");`,
  }, async (path) => {
    await assert.rejects(bundle(path), /with --debug-node-apis to see which imports lead there/);
    const traced = bundleApp(await loadAppFolder(path), { tracesNodeApis: true });
    await assert.rejects(traced, (error: Error) => {
      const chain = error.message.split("These imports lead there:\n")[1]!;
      assert.deepEqual(chain.split("\n").map((line) => line.trim()), [
        "convex/a.ts",
        "convex/lib/helper.ts",
        "node_modules/pack/index.js",
        "node_modules/pack/deep.js",
        "node:fs",
      ]);
      return true;
    });
  }));

Deno.test("deploy-protocol 3.4: bundleApp refuses more than 32 MiB and names what takes most", () =>
  withApp({
    "convex/a.ts":
      `import { big } from "pack"; import { mine } from "./lib/mine"; export const a = [big, mine];`,
    "convex/lib/mine.ts": `export const mine = "${"y".repeat(3 * 1024 * 1024)}" + Math.random();`,
    "node_modules/pack/package.json": `{"name":"pack","main":"index.js"}`,
    "node_modules/pack/index.js": `exports.big = "${"x".repeat(30 * 1024 * 1024)}";`,
  }, async (path) => {
    await assert.rejects(bundle(path), (error: Error) => {
      assert.equal(error.name, "AppError");
      const [first, second, third] = error.message.split("\n");
      assert.match(first!, /takes 33\.\d\d MiB, more than the 32\.00 MiB/);
      assert.match(second!, /30\.00 MiB {2}pack$/);
      assert.match(third!, /3\.00 MiB {2}convex\/lib\/mine\.ts$/);
      return true;
    });
    const { modules } = await bundleApp(await loadAppFolder(path), { mayBeTooLarge: true });
    assert.ok(modules.length > 0);
  }));

Deno.test("bundleApp warns of a file that looks like crons.ts and is not", async () => {
  const crons = `import { cronJobs } from "convex/server"; export default cronJobs();`;
  const warningsOf = async (files: Record<string, string>) => {
    let warnings: readonly string[] = [];
    await withApp(files, async (path) => void (warnings = (await bundle(path)).warnings));
    return warnings;
  };
  for (const name of ["cron.ts", "cronjobs.ts", "cronJobs.js", "cron_jobs.ts"]) {
    assert.deepEqual(await warningsOf({ [`convex/${name}`]: crons }), [
      `${name} defines cron jobs that do not run: name it crons.ts.`,
    ]);
  }
  const parts = `export { default } from "./cronJobs";`;
  assert.deepEqual(await warningsOf({ "convex/cronJobs.ts": crons, "convex/crons.ts": parts }), []);
  assert.deepEqual(await warningsOf({ "convex/cron.ts": "export const a = 1;" }), []);
});
