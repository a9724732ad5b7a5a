/** Options that several commands take, each with its default, and with the environment variable that sets it. */
import { InvalidArgumentError, Option } from "commander";
import type { LogFormat } from "../src/logger.ts";

/** Options of the commands that start a server. */
export interface ServeOptions {
  readonly port: number;
  readonly sitePort?: number;
  readonly host: string;
  readonly data: string;
  readonly logFormat: LogFormat;
  readonly cloudOrigin?: string;
  readonly siteOrigin?: string;
  readonly trustedProxies?: readonly string[];
  readonly discardEnv?: boolean;
}

/** Which server a command talks to; see connection.ts for what counts when it is not said. */
export interface ServerOptions {
  readonly url?: string;
  readonly adminKey?: string;
  /** Folder of a server on this machine. */
  readonly data: string;
}

/** Of the commands that bundle an app. */
export interface BundlingOptions {
  readonly debugBundlePath?: string;
  readonly debugNodeApis?: boolean;
  readonly typecheck: TypecheckMode;
}

/** `try` checks types when the app has TypeScript installed, `enable` insists on it. */
export type TypecheckMode = "enable" | "try" | "disable";

export const app = () =>
  new Option("--app <dir>", "folder of the app, with convex/ in it").default(".").env("HULL_APP");

export const data = () =>
  new Option("--data <dir>", "folder of the database and files").default(".hull").env("HULL_DATA");

export const port = () =>
  new Option("--port <number>", "port to listen on; 0 takes a free one").argParser(parsePort)
    .default(3210).env("HULL_PORT");

export const host = () =>
  new Option("--host <address>", "address to listen on; 0.0.0.0 is every one of this machine")
    .default("127.0.0.1").env("HULL_HOST");

export const listening = () => [
  port(),
  new Option("--site-port <number>", "second port, for HTTP actions alone").argParser(parsePort)
    .env("HULL_SITE_PORT"),
  host(),
  new Option("--cloud-origin <url>", "public address of the server, behind a proxy")
    .argParser(parseOrigin).env("CONVEX_CLOUD_ORIGIN"),
  new Option("--site-origin <url>", "public address of its HTTP actions, behind a proxy")
    .argParser(parseOrigin).env("CONVEX_SITE_ORIGIN"),
  new Option("--trusted-proxies <list>", "addresses or networks of proxies, with commas between")
    .argParser(parseList).env("HULL_TRUSTED_PROXIES"),
  new Option("--log-format <format>", "of the server's own log").choices(["text", "json"])
    .default("text").env("HULL_LOG_FORMAT"),
  new Option("--discard-env", "start without environment variables whose encryption key is lost"),
  data(),
];

export const server = () => [
  new Option("--url <url>", "address of the server").env("CONVEX_SELF_HOSTED_URL"),
  new Option("--admin-key <key>", "its admin key").env("CONVEX_SELF_HOSTED_ADMIN_KEY"),
  new Option("--data <dir>", "data folder of a server on this machine, in place of both")
    .default(".hull").env("HULL_DATA"),
];

export const bundling = () => [
  new Option("--typecheck <mode>", "check types: try does if TypeScript is installed")
    .choices(["enable", "try", "disable"]).default("try"),
  new Option("--debug-bundle-path <dir>", "write the bundle to this folder instead of pushing it"),
  new Option("--debug-node-apis", "show which imports lead to modules of Node.js"),
];

export const component = (what: string) => new Option("--component <path>", what);

export const json = (what: string) => new Option("--json", what);

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new InvalidArgumentError("Give a number from 0 to 65535.");
}

/** Without a slash at its end: paths that begin with one are appended. */
function parseOrigin(text: string): string {
  if (URL.canParse(text) && /^https?:/.test(text)) return text.replace(/\/+$/, "");
  throw new InvalidArgumentError("Give a URL such as https://api.example.com.");
}

function parseList(text: string): readonly string[] {
  return text.split(",").map((name) => name.trim()).filter((name) => name !== "");
}

export function parseCount(max: number) {
  return (text: string): number => {
    if (/^\d+$/.test(text) && Number(text) <= max) return Number(text);
    throw new InvalidArgumentError(`Give a number from 0 to ${max}.`);
  };
}

const unitsMs: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** @returns milliseconds. */
export function parseDuration(text: string): number {
  const [, count, unit] = /^(\d+)([smhd])$/.exec(text) ?? [];
  if (count !== undefined) return Number(count) * unitsMs[unit!]!;
  throw new InvalidArgumentError("Give a number and one of the units s, m, h, d.");
}
