/**
 * The push service as a server holds it. Its code, with the parsers that it needs, is loaded when somebody
 * pushes: a server in production may run for weeks without.
 */
import { join } from "node:path";
import type { IndexState } from "../database/catalog.ts";
import { packagesFolder } from "./live_deployment.ts";
import type { PushService, PushServiceOptions } from "./push.ts";

export class LazyPushService {
  readonly #options: PushServiceOptions;
  #loaded: Promise<PushService> | null = null;

  constructor(options: PushServiceOptions) {
    this.#options = options;
  }

  /** Tidies up after an earlier run of the server, if that left a push unfinished. */
  async recover(): Promise<void> {
    if (this.#hasUnfinishedWork() || await this.#lacksPackages()) await this.load();
  }

  /** The service itself, which has tidied up. */
  load(): Promise<PushService> {
    return this.#loaded ??= this.#start().catch((error) => {
      this.#loaded = null;
      throw error;
    });
  }

  async close(): Promise<void> {
    (await this.#loaded)?.close();
  }

  async #start(): Promise<PushService> {
    const { PushService } = await import("./push.ts");
    const service = new PushService(this.#options);
    await service.recover();
    return service;
  }

  /** A backup holds the names of external packages, but not what is in them. */
  async #lacksPackages(): Promise<boolean> {
    const { live, dataFolder } = this.#options;
    const packages = live.record?.externalPackages;
    if (!packages) return false;
    return await Deno.stat(join(packagesFolder(dataFolder), packages.key)).then(
      () => false,
      () => true,
    );
  }

  #hasUnfinishedWork(): boolean {
    const snapshot = this.#options.reader.open();
    try {
      const { data: { indexes }, hasPendingSchema } = snapshot.catalog;
      const isFinal = (state: IndexState) => state === "ready" || state === "staged";
      return hasPendingSchema || indexes.some((index) => !isFinal(index.state));
    } finally {
      snapshot.close();
    }
  }
}
