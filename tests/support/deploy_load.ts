/** Calls and subscriptions that go on while the app of versioned_pushes.ts is pushed again and again. */
import assert from "node:assert/strict";
import { ConvexClient, ConvexHttpClient } from "convex/browser";
import { api } from "./api.ts";
import { eventually } from "./waiting.ts";

export interface DeployLoadOptions {
  readonly url: string;
  readonly callsPerSecond: number;
  /** Calls under way, above which none begins: a busy machine must not refuse any. */
  readonly outstandingMax: number;
  /** Spread over as many slots as there are, each with a query of its own. */
  readonly subscriptions: number;
  readonly subscriptionsPerSocket: number;
  /** Whether the deployment has the Node module, and Node.js is there. */
  readonly withNode: boolean;
}

export interface CallRecord {
  readonly kind: CallKind;
  readonly startedAtMs: number;
  readonly durationMs: number;
}

export type CallKind = "query" | "mutation" | "action" | "HTTP action" | "Node action";

export class DeployLoad {
  readonly calls: CallRecord[] = [];
  readonly failures: string[] = [];
  readonly #options: DeployLoadOptions;
  readonly #http: ConvexHttpClient;
  readonly #sockets: ConvexClient[] = [];
  /** What each subscription saw last. */
  readonly #seen = new Map<number, string>();
  /** Calls that begin from now on must be answered by one of these: the newest one, and one that is being pushed. */
  #versions: readonly string[];
  #pending = new Set<Promise<void>>();
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(options: DeployLoadOptions, version: string) {
    this.#options = options;
    this.#versions = [version];
    this.#http = new ConvexHttpClient(options.url, { logger: false });
  }

  /** Opens the subscriptions and waits until each has its first result; then begins to call. */
  async start(): Promise<void> {
    const { subscriptions, subscriptionsPerSocket, url, callsPerSecond } = this.#options;
    for (let slot = 0; slot < subscriptions; slot++) {
      if (slot % subscriptionsPerSocket === 0) {
        this.#sockets.push(new ConvexClient(url, { logger: false }));
      }
      this.#sockets.at(-1)!.onUpdate(
        api.version.current,
        { slot },
        ({ version }: { version: string }) => this.#seen.set(slot, version),
        (error) => this.failures.push(`subscription ${slot}: ${error.message}`),
      );
    }
    await this.everybodySees(this.#versions[0]!);
    const beginMs = performance.now();
    let begun = 0;
    this.#timer = setInterval(() => {
      const due = (performance.now() - beginMs) * callsPerSecond / 1000;
      for (; begun < due; begun++) {
        if (this.#pending.size < this.#options.outstandingMax) this.#begin(begun);
      }
    }, 1);
  }

  /** Runs `push` of a version; afterwards no call may be answered by an older one. */
  async during(version: string, push: () => Promise<void>): Promise<void> {
    this.#versions = [...this.#versions, version];
    await push();
    this.#versions = [version];
  }

  /** Resolves when the result of every subscription is of this version. */
  async everybodySees(version: string): Promise<void> {
    const { subscriptions } = this.#options;
    const upToDate = () => [...this.#seen.values()].filter((seen) => seen === version).length;
    await eventually(
      async () => upToDate() === subscriptions ? true : undefined,
      `${subscriptions} subscriptions to see ${version}`,
      60_000,
    );
  }

  /** Ends the calls and the subscriptions. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#pending);
    await Promise.all(this.#sockets.map((socket) => socket.close()));
  }

  assertNothingFailed(): void {
    assert.deepEqual(this.failures.slice(0, 5), [], `${this.failures.length} failures`);
  }

  #begin(n: number): void {
    const call = this.#call(n).finally(() => this.#pending.delete(call));
    this.#pending.add(call);
  }

  async #call(n: number): Promise<void> {
    const kind = kindOf(n, this.#options.withNode);
    const startedAtMs = performance.now();
    const before = this.#versions;
    try {
      const version = await this.#ask(kind, n);
      // One that began during a push may have been answered by what came next.
      const possible = [...before, ...this.#versions];
      if (!possible.includes(version)) {
        this.failures.push(`${kind}: answered by ${version}, not by ${possible.join(" or ")}`);
      }
    } catch (error) {
      this.failures.push(`${kind}: ${(error as Error).message}`);
    }
    this.calls.push({ kind, startedAtMs, durationMs: performance.now() - startedAtMs });
  }

  async #ask(kind: CallKind, n: number): Promise<string> {
    const slot = n % Math.max(1, this.#options.subscriptions);
    switch (kind) {
      case "query": {
        const answer = await this.#http.query(api.version.current, { slot });
        assert.equal(answer.label, `label of ${answer.version}`, "modules of one version");
        return answer.version;
      }
      case "mutation":
        return await this.#http.mutation(api.version.write, { slot, text: `text ${n}` }, {
          skipQueue: true,
        });
      case "action": {
        const answer = await this.#http.action(api.version.through, { slot });
        assert.equal(answer.label, `label of ${answer.version}`, "modules of one version");
        assert.equal(answer.late, `late ${answer.version}`, "modules of one version");
        return answer.version;
      }
      case "HTTP action": {
        const response = await fetch(`${this.#options.url}/deployed`);
        const text = await response.text();
        assert.equal(response.status, 200, text);
        return text;
      }
      case "Node action":
        return await this.#http.action(api.heavy.nodeVersion, {});
    }
  }
}

/** Of ten calls five are queries. */
function kindOf(n: number, withNode: boolean): CallKind {
  const kinds: readonly CallKind[] = [
    ...["query", "mutation", "query", "HTTP action", "query"] as const,
    ...["mutation", "query", "action", "query"] as const,
    withNode ? "Node action" : "action",
  ];
  return kinds[n % kinds.length]!;
}
