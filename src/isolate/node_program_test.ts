import assert from "node:assert/strict";
import { join } from "node:path";
import { NodeUnavailable } from "./node_installations.ts";
import { NodeProgram } from "./node_program.ts";
import type { DeploymentManifest } from "./protocol.ts";

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "hull-node-" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function manifest(folder: string, nodePackages: string | null = null): DeploymentManifest {
  const file = join(folder, "a.mjs");
  Deno.writeTextFileSync(file, "export const a = 1;");
  return {
    id: "d",
    modules: [{ path: "a.js", environment: "node", file }],
    environmentVariables: {},
    importSeed: "",
    importTimeMs: 0,
    fileStorageSecret: "",
    nodeVersion: null,
    nodePackages,
  };
}

Deno.test("NodeProgram layOut() leaves nothing behind when it fails, and while packages are missing that is often", () =>
  withFolder(async (folder) => {
    const program = new NodeProgram(folder);
    const missing = manifest(folder, join(folder, "packages"));
    for (let attempt = 0; attempt < 2; attempt++) {
      await assert.rejects(program.layOut(missing), NodeUnavailable);
    }
    assert.deepEqual([...Deno.readDirSync(join(folder, "node"))].map(({ name }) => name), [
      "executor.mjs",
    ]);
  }));

Deno.test("NodeProgram layOut() tries again after our own program could not be written", () =>
  withFolder(async (folder) => {
    const program = new NodeProgram(join(folder, "data"));
    // Stands where the data folder is to be.
    await Deno.writeTextFile(join(folder, "data"), "");
    await assert.rejects(program.layOut(manifest(folder)));
    await Deno.remove(join(folder, "data"));
    const modules = await program.layOut(manifest(folder));
    assert.equal(await Deno.readTextFile(join(modules.folder, "a.js")), "export const a = 1;");
    await modules.remove();
  }));
