/**
 * What Node.js runs, as files in the data folder:
 *
 *     node/executor.mjs          our program (runtime/node), bundled once in the server's life
 *     node/modules-HASH/         the Node modules of one push under their own paths, as they import each other
 */
import { buildSync } from "esbuild";
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { DeploymentManifest } from "./protocol.ts";

/** The oldest Node.js that the program runs on. */
export const nodeVersionMin = 18;

export class NodeProgram {
  readonly #folder: string;
  #executor: string | null = null;

  constructor(dataFolder: string) {
    this.#folder = join(dataFolder, "node");
  }

  /** Path of our own program. */
  async executorPath(): Promise<string> {
    if (this.#executor !== null) return this.#executor;
    await Deno.mkdir(this.#folder, { recursive: true });
    const outfile = join(this.#folder, "executor.mjs");
    // Takes 50 ms once. The asynchronous one would share its process with other users of esbuild, who end it.
    buildSync({
      entryPoints: [fileURLToPath(new URL("../../runtime/node/main.ts", import.meta.url))],
      outfile,
      bundle: true,
      platform: "node",
      target: `node${nodeVersionMin}`,
      format: "esm",
      logLevel: "silent",
    });
    this.#executor = outfile;
    return outfile;
  }

  /** Lays out the Node modules of a deployment, and gives it with `file` saying where they are now. */
  async layOut(deployment: DeploymentManifest): Promise<DeploymentManifest> {
    const modules = deployment.modules.filter(({ environment }) => environment === "node");
    const content = JSON.stringify(modules.map(({ path, file }) => [path, file]));
    const hash = createHash("sha256").update(content).digest("hex").slice(0, 32);
    const folder = join(this.#folder, `modules-${hash}`);
    const laidOut = modules.map((module) => ({ ...module, file: join(folder, module.path) }));
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeTextFile(join(folder, "package.json"), '{"type":"module"}');
    await Promise.all(modules.map(async ({ file }, index) => {
      const target = laidOut[index]!.file;
      await Deno.mkdir(dirname(target), { recursive: true });
      // A link to it would not do: Node.js resolves imports from where a link leads.
      await Deno.copyFile(file, target);
    }));
    return { ...deployment, modules: laidOut };
  }

  /** Deletes what earlier lives of the server left. */
  async clear(): Promise<void> {
    await Deno.remove(this.#folder, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
}
