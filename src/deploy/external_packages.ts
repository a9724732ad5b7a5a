/**
 * External packages of Node actions: npm packages that the bundler left out (`convex.json`, `node.externalPackages`).
 *
 *     <data>/packages/KEY/node_modules      what npm made of one list of packages, for one kind of machine
 *
 * A push brings names and exact versions. npm installs them once for each list, with the npm configuration of the
 * server's user: registry, proxies, credentials. What npm chose for the packages that these need in turn is kept
 * with the deployment, so that a restored backup gets the same ones.
 */
import { createHash } from "node:crypto";
import { delimiter, dirname, join } from "node:path";
import type { Environment } from "../environment.ts";
import { RequestError } from "../errors.ts";
import { hostVariablesMatching } from "../isolate/executor_process.ts";
import {
  type NodeInstallation,
  NodeInstallations,
  NodeUnavailable,
} from "../isolate/node_installations.ts";
import type { ExternalPackages, NodeDependency } from "./deployment.ts";
import { syncFolder, syncTree } from "../persistence/sync_folder.ts";
import { packagesFolder } from "./live_deployment.ts";
import { modulesTooLarge } from "./pushed_modules.ts";

/** Of packages and Node modules together, and of the packages alone when compressed; in bytes. */
const unzippedMax = 240_000_000;
const zippedMax = 45_000_000;
const installTimeoutMs = 300_000;
/** How much of npm's complaint a developer is shown, in characters. */
const complaintMax = 2000;
/** What npm is told by its environment; the server's other variables may be secrets, and packages run scripts. */
const npmVariables =
  /^(PATH|HOME|TMPDIR|XDG_\w+|SystemRoot|APPDATA|LOCALAPPDATA|USERPROFILE|npm_config_\w+|(https?|no)_proxy|NODE_EXTRA_CA_CERTS|SSL_CERT_\w+)$/i;

export class ExternalPackageStore {
  readonly #folder: string;
  readonly #environment: Environment;
  readonly #installations = new NodeInstallations();
  /** Names of folders that are being filled. */
  readonly #filling = new Set<string>();
  readonly #npms = new Set<Deno.ChildProcess>();
  #attempts = 0;

  constructor(dataFolder: string, environment: Environment) {
    this.#folder = packagesFolder(dataFolder);
    this.#environment = environment;
  }

  /**
   * Has these packages installed.
   * @param nodeBytes Size of the Node modules that come with them.
   * @throws RequestError with what the developer has to mend.
   */
  async install(
    dependencies: readonly NodeDependency[],
    options: { readonly nodeVersion: string | null; readonly nodeBytes: number },
  ): Promise<ExternalPackages> {
    const node = await this.#findNode(options.nodeVersion);
    const sorted = [...dependencies].sort((a, b) => a.name < b.name ? -1 : 1);
    const identity = JSON.stringify([Deno.build.target, node.major, sorted]);
    const key = createHash("sha256").update(identity).digest("hex").slice(0, 32);
    if (!await isFolder(join(this.#folder, key))) {
      await this.#fill(key, node, { dependencies: sorted, lock: null });
    }
    await checkSize(join(this.#folder, key), options.nodeBytes);
    const lock = await Deno.readTextFile(join(this.#folder, key, "package-lock.json"));
    return { key, dependencies: sorted, lock };
  }

  /** Whether the packages of a deployment are there; they are not in a backup. */
  async has({ key }: ExternalPackages): Promise<boolean> {
    return await isFolder(join(this.#folder, key));
  }

  /** Installs the packages of a deployment again, just as they were. @throws RequestError */
  async restore(packages: ExternalPackages, nodeVersion: string | null): Promise<void> {
    await this.#fill(packages.key, await this.#findNode(nodeVersion), packages);
  }

  /** Gives up what is being installed. */
  close(): void {
    for (const npm of this.#npms) killGroup(npm);
  }

  /** Deletes all packages but those under the keys that `isNeeded` claims. */
  async collect(isNeeded: (key: string) => boolean): Promise<void> {
    if (!await isFolder(this.#folder)) return;
    for await (const { name } of Deno.readDir(this.#folder)) {
      if (isNeeded(name) || this.#filling.has(name)) continue;
      await Deno.remove(join(this.#folder, name), { recursive: true });
    }
  }

  async #findNode(version: string | null): Promise<NodeInstallation> {
    try {
      return await this.#installations.find(version);
    } catch (error) {
      if (!(error instanceof NodeUnavailable)) throw error;
      throw invalidPackages(`Installing external packages ${error.message}`);
    }
  }

  /** Nobody finds the folder before it is complete. */
  async #fill(
    key: string,
    node: NodeInstallation,
    { dependencies, lock }: Pick<ExternalPackages, "dependencies"> & { lock: string | null },
  ): Promise<void> {
    const name = `${key}.unfinished-${this.#attempts++}`;
    const unfinished = join(this.#folder, name);
    const versions = dependencies.map(({ name, version }) => [name, version]);
    const manifest = { private: true, dependencies: Object.fromEntries(versions) };
    this.#filling.add(name);
    try {
      await Deno.mkdir(unfinished, { recursive: true });
      await Deno.writeTextFile(join(unfinished, "package.json"), JSON.stringify(manifest));
      if (lock !== null) await Deno.writeTextFile(join(unfinished, "package-lock.json"), lock);
      await this.#runNpm(lock === null ? "install" : "ci", node, unfinished);
      // Who finds the name after a crash takes all of it to be there.
      await syncTree(unfinished);
      await Deno.rename(unfinished, join(this.#folder, key));
    } catch (error) {
      await Deno.remove(unfinished, { recursive: true });
      // A push and the restoration of a backup may have installed the same packages side by side.
      if (!await isFolder(join(this.#folder, key))) throw error;
    } finally {
      this.#filling.delete(name);
    }
    await syncFolder(this.#folder);
  }

  async #runNpm(command: "install" | "ci", node: NodeInstallation, folder: string): Promise<void> {
    const npm = this.#startNpm(command, node, folder);
    this.#npms.add(npm);
    let isLate = false;
    const cancelTimer = this.#environment.setTimer(installTimeoutMs, () => {
      isLate = true;
      killGroup(npm);
    });
    try {
      const { success, stderr } = await npm.output();
      if (success) return;
      if (isLate) {
        throw invalidPackages(`npm ${command} took more than ${installTimeoutMs / 1000} s.`);
      }
      throw invalidPackages(complaint(new TextDecoder().decode(stderr)));
    } finally {
      cancelTimer();
      this.#npms.delete(npm);
    }
  }

  #startNpm(command: string, node: NodeInstallation, folder: string): Deno.ChildProcess {
    const variables = hostVariablesMatching(npmVariables);
    const options = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"];
    try {
      return new Deno.Command(npmProgram, {
        args: [command, ...options],
        cwd: folder,
        clearEnv: true,
        // npm and the scripts of packages must run on the Node.js that the packages are for.
        env: { ...variables, PATH: `${dirname(node.path)}${delimiter}${variables.PATH ?? ""}` },
        stdin: "null",
        stdout: "null",
        stderr: "piped",
        detached: true,
      }).spawn();
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      throw invalidPackages(
        'Installing external packages needs npm, but there is no "npm" on the PATH of the server. Install it, or ' +
          "remove the packages from node.externalPackages in convex.json so that they are bundled.",
      );
    }
  }
}

/** Ends npm with the scripts that it runs. */
function killGroup(npm: Deno.ChildProcess): void {
  try {
    if (Deno.build.os === "windows") npm.kill();
    else Deno.kill(-npm.pid, "SIGKILL");
  } catch (error) {
    // It has ended by itself a moment ago.
    if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
  }
}

const npmProgram = Deno.build.os === "windows" ? "npm.cmd" : "npm";

/** What npm said, without what only its user could read. */
function complaint(printed: string): string {
  const lines = printed.split("\n").map((line) => line.replace(/^npm (error|ERR!) ?/, "").trimEnd())
    .filter((line) => line !== "" && !/^npm warn|complete log of this run|_logs\//i.test(line));
  return `npm could not install the external packages:\n${lines.join("\n").slice(0, complaintMax)}`;
}

async function checkSize(folder: string, nodeBytes: number): Promise<void> {
  const bytes = await sizeOfFiles(folder);
  if (bytes + nodeBytes > unzippedMax) {
    throw modulesTooLarge("unzipped", bytes + nodeBytes, unzippedMax);
  }
  if (bytes <= zippedMax) return;
  const zipped = await zippedSize(folder);
  if (zipped > zippedMax) throw modulesTooLarge("zipped", zipped, zippedMax);
}

async function sizeOfFiles(folder: string): Promise<number> {
  let bytes = 0;
  for await (const { name, isFile, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isFile) bytes += (await Deno.stat(path)).size;
    if (isDirectory) bytes += await sizeOfFiles(path);
  }
  return bytes;
}

/** In a process of its own: it keeps a core busy for seconds. */
async function zippedSize(folder: string): Promise<number> {
  const archiver = new Deno.Command("tar", {
    args: ["-czf", "-", "."],
    cwd: folder,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  let bytes = 0;
  for await (const chunk of archiver.stdout) bytes += chunk.byteLength;
  await archiver.status;
  return bytes;
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function invalidPackages(message: string): RequestError {
  return new RequestError(
    "badRequest",
    "InvalidExternalModules",
    `Loading the pushed modules encountered the following error:\n${message}`,
  );
}
