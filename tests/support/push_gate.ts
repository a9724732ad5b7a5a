/** A proxy before a server that counts pushes and can keep them from starting. */
import { within } from "./waiting.ts";

export interface PushGate extends AsyncDisposable {
  readonly url: string;
  /** How many pushes asked to start. */
  readonly startCount: number;
  /** From now on pushes that ask to start wait. */
  close(): void;
  /** Lets those that wait, and later ones, go on. */
  open(): void;
  /** Resolves when that many pushes have asked to start. */
  started(count: number): Promise<void>;
  /** Resolves when that many pushes have been finished. */
  finished(count: number): Promise<void>;
}

export function startPushGate(target: string): PushGate {
  const starts = new Counter("pushes to start");
  const ends = new Counter("pushes to finish");
  let passage = Promise.withResolvers<void>();
  passage.resolve();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname, search } = new URL(request.url);
    if (pathname.endsWith("/start_push")) {
      starts.add();
      await passage.promise;
    }
    const { method, headers } = request;
    const body = method === "GET" ? null : await request.arrayBuffer();
    const response = await fetch(`${target}${pathname}${search}`, { method, headers, body });
    const answer = await response.arrayBuffer();
    if (pathname.endsWith("/finish_push") && response.ok) ends.add();
    return new Response(answer, { status: response.status, headers: response.headers });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    get startCount() {
      return starts.value;
    },
    close: () => void (passage = Promise.withResolvers()),
    open: () => passage.resolve(),
    started: (count) => starts.reached(count),
    finished: (count) => ends.reached(count),
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** A number that grows, and waiting for it. */
class Counter {
  value = 0;
  readonly #what: string;
  readonly #waiting: { readonly count: number; resolve(): void }[] = [];

  constructor(what: string) {
    this.#what = what;
  }

  add(): void {
    this.value++;
    for (const { count, resolve } of this.#waiting) if (count <= this.value) resolve();
  }

  reached(count: number): Promise<void> {
    const reached = new Promise<void>((resolve) => {
      this.#waiting.push({ count, resolve });
      if (this.value >= count) resolve();
    });
    return within(reached, 30_000, `${count} ${this.#what}; ${this.value} so far`);
  }
}
