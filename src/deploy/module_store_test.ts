import assert from "node:assert/strict";
import { join } from "node:path";
import { type BundledModule, hashModule } from "./bundled_module.ts";
import { ModuleStore } from "./module_store.ts";

const isolateModule: BundledModule = {
  path: "a.js",
  source: "export const a = 1;",
  environment: "isolate",
};
const nodeModule: BundledModule = { ...isolateModule, path: "n.js", environment: "node" };

async function withStore(test: (store: ModuleStore, folder: string) => Promise<void>) {
  const dataFolder = await Deno.makeTempDir({ prefix: "hull-modules-" });
  try {
    await test(new ModuleStore(dataFolder), join(dataFolder, "modules"));
  } finally {
    await Deno.remove(dataFolder, { recursive: true });
  }
}

async function filesIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map((entry) => entry.name).sort();
}

Deno.test("deploy-protocol 3.3: the hash covers source and source map", () => {
  const withMap = { ...isolateModule, source: "export const a", sourceMap: " = 1;" };
  assert.equal(hashModule(withMap), hashModule(isolateModule));
  assert.equal(
    hashModule({ ...isolateModule, source: "" }),
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  );
});

Deno.test("ModuleStore save() writes a module once", () =>
  withStore(async (store, folder) => {
    const [saved, again] = await Promise.all([
      store.save(isolateModule),
      store.save({ ...isolateModule, path: "b.js" }),
    ]);
    assert.equal(saved.sourceFile, again.sourceFile);
    assert.notEqual(saved.file, again.file, "imports are relative to the path");
    const names = await filesIn(folder);
    assert.deepEqual(names, [saved.file, again.file, saved.sourceFile].sort());
    const longAgo = new Date(1_000_000_000_000);
    for (const name of names) await Deno.utime(join(folder, name), longAgo, longAgo);
    assert.deepEqual(await store.save(isolateModule), saved);
    const { mtime } = await Deno.stat(join(folder, saved.file));
    assert.equal(mtime?.getTime(), longAgo.getTime());
  }));

Deno.test("ModuleStore save() keeps the bundle of a Node module, with its source map inside", () =>
  withStore(async (store, folder) => {
    const plain = await store.save(nodeModule);
    assert.equal(await Deno.readTextFile(join(folder, plain.file)), nodeModule.source);
    const mapped = await store.save({
      ...nodeModule,
      source: `${nodeModule.source}\n//# sourceMappingURL=n.js.map\n`,
      sourceMap: "{}",
    });
    assert.equal(
      await Deno.readTextFile(join(folder, mapped.file)),
      `${nodeModule.source}\n//# sourceMappingURL=data:application/json;base64,e30=\n`,
    );
  }));

Deno.test("ModuleStore collect() deletes what nobody needs", () =>
  withStore(async (store, folder) => {
    const { file } = await store.save(nodeModule);
    await store.save(isolateModule);
    await Deno.writeTextFile(join(folder, "left.behind.3.unfinished"), "");
    await store.collect((name) => name === file);
    assert.deepEqual(await filesIn(folder), [file]);
  }));
