/**
 * Tests against a real Hull server: start one, move its clock, act as any user, begin every test with an empty database.
 * Needs nothing but Node.js 20 or Deno, and the program `hull`; use the clients of the npm package `convex` as always.
 *
 *     const hull = await startHull({ app: "." });
 *     const client = new ConvexHttpClient(hull.url);
 *     beforeEach(() => hull.clear());
 *     afterAll(() => hull.stop());
 *
 *     await client.mutation(api.reminders.remindMe, { inMinutes: 10 });
 *     await hull.advance({ minutes: 10 });
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import process from "node:process";

export interface StartOptions {
  /** Folder of the app, with `convex/` in it; without one nothing is deployed. */
  readonly app?: string;
  /** The program and its first arguments; by default what the environment variable HULL says, or `hull`. */
  readonly command?: readonly string[];
  /** Settings of the server, such as HULL_TRANSACTION_ISOLATES. */
  readonly environment?: Readonly<Record<string, string>>;
}

export interface Duration {
  readonly days?: number;
  readonly hours?: number;
  readonly minutes?: number;
  readonly seconds?: number;
  readonly ms?: number;
}

/** What `ctx.auth.getUserIdentity()` returns for a user that a test made up. */
export interface TestIdentity {
  readonly subject: string;
  readonly issuer?: string;
  readonly name?: string;
  readonly email?: string;
  readonly [claim: string]: unknown;
}

/** What the clients of the npm package have, though their types do not say so. */
interface AdminClient {
  setAdminAuth(key: string, identity?: object): void;
}

/** Starts a server of its own for the calling process. It ends with that process at the latest. */
export async function startHull(options: StartOptions = {}): Promise<TestHull> {
  const [program, ...first] = options.command ?? process.env.HULL?.split(" ") ?? ["hull"];
  const app = options.app === undefined ? [] : ["--app", options.app];
  const server = spawn(program!, [...first, "test-server", ...app], {
    env: { ...process.env, ...options.environment },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let errors = "";
  server.stderr.setEncoding("utf8").on("data", (text: string) => errors += text);
  const ended = new Promise<void>((resolve) => {
    server.on("exit", () => resolve());
    server.on("error", (error) => {
      errors += error.message;
      resolve();
    });
  });
  const ready = new Promise<Address>((resolve) => {
    createInterface(server.stdout).on("line", (line) => {
      if (line.startsWith("{")) resolve(JSON.parse(line));
    });
  });
  const failed = ended.then(() => {
    throw new Error(`${program} did not start a test server:\n${errors}`);
  });
  failed.catch(() => {/* After a good start its end is nobody's concern. */});
  const address = await Promise.race([ready, failed]);
  return new TestHull(address, () => {
    server.stdin.end();
    return ended;
  });
}

interface Address {
  readonly url: string;
  readonly siteUrl: string;
  readonly adminKey: string;
}

export class TestHull {
  /** Where clients connect. */
  readonly url: string;
  /** Where HTTP actions are. */
  readonly siteUrl: string;
  readonly adminKey: string;
  /** Ends the server; its data is gone. */
  readonly stop: () => Promise<void>;

  constructor(address: Address, stop: () => Promise<void> = async () => {}) {
    this.url = address.url;
    this.siteUrl = address.siteUrl;
    this.adminKey = address.adminKey;
    this.stop = stop;
  }

  /** Deletes all documents, scheduled functions and files, and sets the clock right. Code and schema stay. */
  async clear(): Promise<void> {
    await this.#ask("clear", {});
  }

  /** The server's time, in milliseconds since the epoch. */
  async now(): Promise<number> {
    return await this.#ask("clock");
  }

  /** Sets the clock. Scheduled functions that are due by then run now; cron jobs begin anew from there. */
  async setTime(time: Date | number): Promise<void> {
    await this.#ask("clock", { nowMs: Number(time) });
  }

  /**
   * Lets time pass: scheduled functions and cron jobs run when it is their turn, with `Date.now()` at that time, and
   * have ended when this resolves.
   */
  async advance(duration: Duration | number): Promise<void> {
    await this.#ask("clock", { advanceMs: inMilliseconds(duration) });
  }

  /** Runs scheduled functions, and those that they schedule, until none is left; time passes as far as it must. */
  async runScheduled(): Promise<void> {
    await this.#ask("run_scheduled", {});
  }

  /**
   * Makes a `ConvexHttpClient`, `ConvexClient` or `ConvexReactClient` act as this user, without a token. Null: as nobody.
   * From then on it may call internal functions, too.
   */
  actAs(client: object, identity: TestIdentity | null): void {
    const admin = adminClientOf(client);
    if (identity === null) return admin.setAdminAuth(this.adminKey);
    const { subject, issuer = "https://test.invalid", ...claims } = identity;
    const tokenIdentifier = `${issuer}|${subject}`;
    admin.setAdminAuth(this.adminKey, { tokenIdentifier, issuer, subject, ...claims });
  }

  async #ask(path: string, body?: object): Promise<number> {
    const response = await fetch(`${this.url}/api/hull/test/${path}`, {
      headers: { authorization: `Convex ${this.adminKey}`, "content-type": "application/json" },
      ...body && { method: "POST", body: JSON.stringify(body) },
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`The test server answered ${response.status}: ${text}`);
    return (JSON.parse(text) as { nowMs: number }).nowMs;
  }
}

/** A `ConvexClient` has it one level below. */
function adminClientOf(client: object): AdminClient {
  if ("setAdminAuth" in client) return client as AdminClient;
  return (client as { readonly client: AdminClient }).client;
}

function inMilliseconds(duration: Duration | number): number {
  if (typeof duration === "number") return duration;
  const { days = 0, hours = 0, minutes = 0, seconds = 0, ms = 0 } = duration;
  return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000 + ms;
}
