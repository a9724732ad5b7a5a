/**
 * The Node.js programs of this machine: the ones on the PATH, and those that version managers have put where only
 * they look. A deployment may ask for a major version; without a wish it gets the first one on the PATH.
 */
import { delimiter, join } from "node:path";
import { hostVariable } from "./executor_process.ts";
import { permissionFlags } from "./node_permissions.ts";

export interface NodeInstallation {
  /** Absolute. */
  readonly path: string;
  readonly major: number;
  /** Whether it can be kept from reading the server's files (see node_permissions.ts). */
  readonly hasPermissions: boolean;
}

/** The oldest Node.js that our program runs on. */
export const nodeVersionMin = 20;

/** Node actions cannot run here; the message is the rest of a sentence about the module that needs them. */
export class NodeUnavailable extends Error {
  override name = "NodeUnavailable";
}

const programName = Deno.build.os === "windows" ? "node.exe" : "node";

export class NodeInstallations {
  /** What has been found, by the version that was wished for; null: none. */
  readonly #found = new Map<string | null, NodeInstallation>();

  /**
   * The Node.js for a deployment.
   * @param wanted A major version, such as "22"; null for any.
   * @throws NodeUnavailable
   */
  async find(wanted: string | null): Promise<NodeInstallation> {
    const known = this.#found.get(wanted);
    // A version manager may have put another one in its place.
    if (known !== undefined && await isThere(known.path)) return known;
    const majors: number[] = [];
    for await (const path of candidates(wanted)) {
      const major = await majorVersion(path);
      if (major === null) continue;
      majors.push(major);
      if (wanted === null ? major < nodeVersionMin : major !== Number(wanted)) continue;
      const installation = { path, major, hasPermissions: await hasPermissions(path, major) };
      this.#found.set(wanted, installation);
      return installation;
    }
    throw new NodeUnavailable(problem(wanted, [...new Set(majors)]));
  }
}

function problem(wanted: string | null, majors: readonly number[]): string {
  const needed = wanted === null
    ? `needs Node.js ${nodeVersionMin} or later`
    : `needs Node.js ${wanted}, the version that the app asks for`;
  const found = majors.length === 0
    ? 'there is no "node" on the PATH of the server'
    : `the PATH of the server leads to Node.js ${majors.join(", ")}`;
  const advice = wanted === null
    ? "Install Node.js (https://nodejs.org)"
    : "Install it (on the server's PATH, or with nvm, fnm, volta, asdf, mise or n), ask for another one as " +
      '"node.nodeVersion" in convex.json';
  return `${needed}, but ${found}. ${advice}, or remove "use node" if the file needs no Node.js API.`;
}

async function* candidates(wanted: string | null): AsyncGenerator<string> {
  for (const folder of (hostVariable("PATH") ?? "").split(delimiter)) {
    if (folder !== "") yield join(folder, programName);
  }
  if (wanted === null) return;
  for (const [parent, below] of managedFolders()) {
    const versions = await versionFolders(parent, wanted);
    for (const version of versions) yield join(parent, version, below, programName);
  }
}

/** Where version managers keep one folder for each version, and where the program lies in it. */
function managedFolders(): [parent: string, below: string][] {
  const home = hostVariable("HOME") ?? "/";
  const data = hostVariable("XDG_DATA_HOME") ?? join(home, ".local/share");
  return [
    [join(hostVariable("NVM_DIR") ?? join(home, ".nvm"), "versions/node"), "bin"],
    [join(data, "fnm/node-versions"), "installation/bin"],
    [join(home, ".volta/tools/image/node"), "bin"],
    [join(home, ".asdf/installs/nodejs"), "bin"],
    [join(data, "mise/installs/node"), "bin"],
    [join(hostVariable("N_PREFIX") ?? "/usr/local", "n/versions/node"), "bin"],
  ];
}

/** Names of the folders of one major version, the newest first. */
async function versionFolders(parent: string, major: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(parent)) {
      if (new RegExp(`^v?${major}\\.\\d+\\.\\d+$`).test(name)) names.push(name);
    }
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
  return names.sort((a, b) => b.localeCompare(a, "en", { numeric: true }));
}

/** Null when there is no such program, or it is not Node.js. */
async function majorVersion(path: string): Promise<number | null> {
  const printed = await run(path, ["--version"]);
  const major = /^v(\d+)\./.exec(printed ?? "")?.[1];
  return major === undefined ? null : Number(major);
}

/** Early releases of a major version refuse some of the flags, and other systems than Linux were not tried. */
async function hasPermissions(path: string, major: number): Promise<boolean> {
  if (Deno.build.os !== "linux") return false;
  const flags = permissionFlags({ path, major }, ["/srv/hull/node/", "/srv/hull/packages/x/"]);
  return (await run(path, [...flags, "--no-warnings", "--print", "1"]))?.trim() === "1";
}

/** What a program prints; null when it cannot be started or fails. */
async function run(path: string, args: readonly string[]): Promise<string | null> {
  try {
    const command = new Deno.Command(path, { args: [...args], clearEnv: true, stderr: "null" });
    const { success, stdout } = await command.output();
    return success ? new TextDecoder().decode(stdout) : null;
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

function isAbsent(error: unknown): boolean {
  const { NotFound, NotADirectory, PermissionDenied } = Deno.errors;
  return [NotFound, NotADirectory, PermissionDenied].some((kind) => error instanceof kind);
}
