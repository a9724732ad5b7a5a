/**
 * What Node.js runs, as files in the data folder:
 *
 *     node/executor.mjs     our program (runtime/node), bundled once in the server's life
 *     node/modules-N/       the Node modules of one process under their own paths, as they import each other,
 *                           and `node_modules`, which leads to the app's external packages
 */
import { dirname, join } from "node:path";
import { isPacked, nodeModulePath } from "../program_files.ts";
import { NodeUnavailable, nodeVersionMin } from "./node_installations.ts";
import type { DeploymentManifest } from "./protocol.ts";

/** Modules where Node.js finds them, for as long as a process needs them. */
export interface LaidOutModules {
  /** Path of our own program. */
  readonly executorPath: string;
  /** Where they are, absolute. */
  readonly folder: string;
  /** With the Node modules alone, and `file` saying where they are. */
  readonly deployment: DeploymentManifest;
  /** All that the process has to read: absolute, without links, folders with a slash at the end. */
  readonly readablePaths: readonly string[];
  remove(): Promise<void>;
}

export class NodeProgram {
  readonly #folder: string;
  #executor: Promise<string> | null = null;
  #layouts = 0;

  constructor(dataFolder: string) {
    this.#folder = join(dataFolder, "node");
  }

  /** @throws NodeUnavailable when the external packages of the deployment are not there. */
  async layOut(deployment: DeploymentManifest): Promise<LaidOutModules> {
    this.#executor ??= this.#bundle().catch((error) => {
      // The next action tries again: a full disk may have space then.
      this.#executor = null;
      throw error;
    });
    const executorPath = await this.#executor;
    const folder = join(dirname(executorPath), `modules-${this.#layouts++}`);
    const remove = () => Deno.remove(folder, { recursive: true });
    try {
      const { modules, packages } = await this.#fill(folder, deployment);
      return {
        executorPath,
        folder,
        deployment: { ...deployment, modules },
        readablePaths: [executorPath, `${folder}/`, ...packages],
        remove,
      };
    } catch (error) {
      await remove().catch(() => {/* It may not have come to that. */});
      throw error;
    }
  }

  /** Resolves with the Node modules where they are now, and the folders of their packages. */
  async #fill(folder: string, deployment: DeploymentManifest) {
    const sources = deployment.modules.filter(({ environment }) => environment === "node");
    const modules = sources.map((module) => ({ ...module, file: join(folder, module.path) }));
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeTextFile(join(folder, "package.json"), '{"type":"module"}');
    await Promise.all(modules.map(async ({ file }, index) => {
      await Deno.mkdir(dirname(file), { recursive: true });
      // A link would not do: Node.js resolves imports from where a link leads.
      await Deno.copyFile(sources[index]!.file, file);
    }));
    return { modules, packages: await this.#linkPackages(deployment, folder) };
  }

  /** Resolves with the folder that they really lie in, if there are any. */
  async #linkPackages({ nodePackages }: DeploymentManifest, folder: string): Promise<string[]> {
    if (nodePackages == null) return [];
    const packages = await Deno.realPath(nodePackages).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      throw new NodeUnavailable(
        "needs external packages, but they are not installed on this server. If this lasts, deploy the app again.",
      );
    });
    await Deno.symlink(packages, join(folder, "node_modules"), { type: "junction" });
    return [`${packages}/`];
  }

  async #bundle(): Promise<string> {
    // What earlier lives of the server left is not ours.
    await Deno.remove(this.#folder, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
    const outfile = join(this.#folder, "executor.mjs");
    if (isPacked) await copyNodeModule(outfile);
    else await bundleNodeModule(outfile);
    return await Deno.realPath(outfile);
  }
}

async function copyNodeModule(outfile: string): Promise<void> {
  await Deno.mkdir(dirname(outfile), { recursive: true });
  await Deno.copyFile(nodeModulePath(), outfile);
}

async function bundleNodeModule(outfile: string): Promise<void> {
  // Loaded here because most servers never need it.
  const { buildSync } = await import("esbuild");
  // Takes 50 ms, once. The asynchronous one would share its process with other users of esbuild, who end it.
  buildSync({
    entryPoints: [nodeModulePath()],
    outfile,
    bundle: true,
    platform: "node",
    target: `node${nodeVersionMin}`,
    format: "esm",
    logLevel: "silent",
  });
}
