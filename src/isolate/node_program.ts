/**
 * What Node.js runs, as files in the data folder:
 *
 *     node/executor.mjs     our program (runtime/node), bundled once in the server's life
 *     node/modules-N/       the Node modules of one process under their own paths, as they import each other
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { DeploymentManifest } from "./protocol.ts";

/** The oldest Node.js that the program runs on. */
export const nodeVersionMin = 18;

/** Modules where Node.js finds them, for as long as a process needs them. */
export interface LaidOutModules {
  /** With the Node modules alone, and `file` saying where they are. */
  readonly deployment: DeploymentManifest;
  remove(): Promise<void>;
}

export class NodeProgram {
  readonly #folder: string;
  #executor: Promise<string> | null = null;
  #layouts = 0;

  constructor(dataFolder: string) {
    this.#folder = join(dataFolder, "node");
  }

  /** Path of our own program. */
  executorPath(): Promise<string> {
    this.#executor ??= this.#bundle();
    return this.#executor;
  }

  async layOut(deployment: DeploymentManifest): Promise<LaidOutModules> {
    await this.executorPath();
    const folder = join(this.#folder, `modules-${this.#layouts++}`);
    const sources = deployment.modules.filter(({ environment }) => environment === "node");
    const modules = sources.map((module) => ({ ...module, file: join(folder, module.path) }));
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeTextFile(join(folder, "package.json"), '{"type":"module"}');
    await Promise.all(modules.map(async ({ file }, index) => {
      await Deno.mkdir(dirname(file), { recursive: true });
      // A link would not do: Node.js resolves imports from where a link leads.
      await Deno.copyFile(sources[index]!.file, file);
    }));
    return {
      deployment: { ...deployment, modules },
      remove: () => Deno.remove(folder, { recursive: true }),
    };
  }

  async #bundle(): Promise<string> {
    // What earlier lives of the server left is not ours.
    await Deno.remove(this.#folder, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
    const outfile = join(this.#folder, "executor.mjs");
    // Loaded here because most servers never need it.
    const { buildSync } = await import("esbuild");
    // Takes 50 ms, once. The asynchronous one would share its process with other users of esbuild, who end it.
    buildSync({
      entryPoints: [fileURLToPath(new URL("../../runtime/node/main.ts", import.meta.url))],
      outfile,
      bundle: true,
      platform: "node",
      target: `node${nodeVersionMin}`,
      format: "esm",
      logLevel: "silent",
    });
    return outfile;
  }
}
