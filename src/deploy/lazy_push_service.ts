/**
 * The push service as the rest of the server holds it. Its code, with the parsers it needs, is loaded when
 * somebody pushes: a server in production may run for weeks without.
 */
import type { PushService, PushServiceOptions } from "./push.ts";

export class LazyPushService {
  readonly #options: PushServiceOptions;
  #loaded: Promise<PushService> | null = null;

  constructor(options: PushServiceOptions) {
    this.#options = options;
  }

  /** Goes on with what an earlier run of the server left unfinished, if anything. */
  async resume(): Promise<void> {
    if (this.#hasUnfinishedWork()) await this.#load();
  }

  async getConfigHashes() {
    return (await this.#load()).getConfigHashes();
  }

  async startPush(body: unknown) {
    return await (await this.#load()).startPush(body);
  }

  async evaluatePush(body: unknown) {
    return await (await this.#load()).evaluatePush(body);
  }

  async waitForSchema(body: unknown) {
    return await (await this.#load()).waitForSchema(body);
  }

  async finishPush(body: unknown) {
    return await (await this.#load()).finishPush(body);
  }

  async close(): Promise<void> {
    (await this.#loaded)?.close();
  }

  #hasUnfinishedWork(): boolean {
    const snapshot = this.#options.reader.open();
    try {
      const { pendingSchema, indexes } = snapshot.catalog.data;
      return pendingSchema !== null ||
        indexes.some(({ state }) => state === "backfilling" || state === "backfilled");
    } finally {
      snapshot.close();
    }
  }

  #load(): Promise<PushService> {
    return this.#loaded ??= this.#start().catch((error) => {
      this.#loaded = null;
      throw error;
    });
  }

  async #start(): Promise<PushService> {
    const { PushService } = await import("./push.ts");
    const service = new PushService(this.#options);
    await service.recover();
    return service;
  }
}
