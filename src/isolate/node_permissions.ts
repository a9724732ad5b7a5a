/**
 * What Node actions may touch of the machine, in terms of Node's permission model. It keeps `node:fs` from all files
 * but those of the app's own code and packages, those that programs generally need, and the temporary folder; so a
 * path that a client made up leads neither to the database nor to the admin key.
 *
 * It is no wall against code that wants out. Packages with native code or helper programs are what Node actions are
 * for, so addons and child processes stay allowed, and what these do is not checked.
 */
import { dirname } from "node:path";
import { hostVariable } from "./executor_process.ts";

/** Not /proc: other processes' environment variables stand there, and the way to everything else. */
const systemFolders = [
  ...["/bin/", "/sbin/", "/lib/", "/lib32/", "/lib64/", "/usr/", "/opt/"],
  ...["/etc/ssl/", "/etc/pki/", "/etc/ca-certificates/", "/etc/fonts/", "/etc/alternatives/"],
];
const systemFiles = [
  ...["/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/localtime", "/etc/mime.types"],
  ...["/etc/passwd", "/etc/group", "/etc/os-release", "/etc/alpine-release", "/etc/debian_version"],
  ...["/proc/cpuinfo", "/proc/meminfo", "/proc/version"],
  ...["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"],
];

/** Where Node actions may write, and find what they wrote. Ends with a slash. */
export const temporaryFolder = `${(hostVariable("TMPDIR") ?? "/tmp").replace(/\/+$/, "")}/`;

/**
 * The arguments that narrow a Node.js of at least version 20.
 * @param paths What it may read besides, absolute and without links; folders end with a slash.
 */
export function permissionFlags(
  node: { readonly path: string; readonly major: number },
  paths: readonly string[],
): string[] {
  const installation = `${dirname(dirname(node.path))}/`;
  const readable = [...systemFolders, ...systemFiles, installation, temporaryFolder, ...paths];
  return [
    node.major < 24 ? "--experimental-permission" : "--permission",
    ...["--allow-addons", "--allow-child-process", "--allow-worker"],
    ...(node.major < 25 ? [] : ["--allow-net"]),
    ...withoutCovered(readable).map((path) => `--allow-fs-read=${path}`),
    `--allow-fs-write=${temporaryFolder}`,
    "--allow-fs-write=/dev/null",
  ];
}

/** Node.js 20 aborts when it is given a path twice. */
function withoutCovered(paths: readonly string[]): string[] {
  const distinct = [...new Set(paths)];
  const isCovered = (path: string) =>
    distinct.some((other) => other !== path && other.endsWith("/") && path.startsWith(other));
  return distinct.filter((path) => !isCovered(path));
}
