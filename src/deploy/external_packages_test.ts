import assert from "node:assert/strict";
import { NpmRegistry } from "../../tests/support/npm_registry.ts";
import { systemEnvironment } from "../environment.ts";
import { RequestError } from "../errors.ts";
import { ExternalPackageStore } from "./external_packages.ts";

// The real npm, with a registry of the test's own; tests/blackbox/external_packages_test.ts has the rest.

const small = { name: "hull-small", version: "1.0.0", files: { "index.js": "" } };

Deno.test("deploy-protocol 3.5: external packages that are too large are refused, unused ones go", async () => {
  await using registry = new NpmRegistry();
  registry.publish(small);
  const folder = await Deno.makeTempDir();
  Deno.env.set("npm_config_registry", registry.url);
  Deno.env.set("npm_config_cache", `${folder}/cache`);
  try {
    const store = new ExternalPackageStore(folder, systemEnvironment);
    const install = (nodeBytes: number) => store.install([small], { nodeVersion: null, nodeBytes });
    // A push may come while the server installs the packages of a restored backup.
    const [{ key }, again] = await Promise.all([install(0), install(0)]);
    assert.equal(again.key, key);
    assert.deepEqual([...Deno.readDirSync(`${folder}/packages`)].map(({ name }) => name), [key]);
    const installed = `${folder}/packages/${key}/node_modules/hull-small`;
    assert.ok((await Deno.stat(installed)).isDirectory);
    await assert.rejects(install(240_000_000), tooLarge(/exceeded the unzipped maximum/));
    // Nothing makes random bytes smaller.
    const file = await Deno.open(`${installed}/data`, { write: true, create: true });
    for (let mebibyte = 0; mebibyte < 45; mebibyte++) {
      const bytes = new Uint8Array(1024 * 1024);
      for (let start = 0; start < bytes.length; start += 65_536) {
        crypto.getRandomValues(bytes.subarray(start, start + 65_536));
      }
      file.writeSync(bytes);
    }
    file.close();
    await assert.rejects(install(0), tooLarge(/exceeded the zipped maximum/));
    await store.collect((needed) => needed === key);
    assert.ok((await Deno.stat(installed)).isDirectory);
    await store.collect(() => false);
    await assert.rejects(Deno.stat(installed), Deno.errors.NotFound);
  } finally {
    Deno.env.delete("npm_config_registry");
    Deno.env.delete("npm_config_cache");
    await Deno.remove(folder, { recursive: true });
  }
});

function tooLarge(message: RegExp) {
  return (error: unknown) =>
    error instanceof RequestError && error.code === "ModulesTooLarge" &&
    message.test(error.message);
}
