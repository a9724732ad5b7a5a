/**
 * Isolates as the runners use them: each call holds its deployment, and a deployment that was replaced is
 * retired when its last call has ended. An action may run for half an hour on code that is long gone.
 */
import type { ActionHost, CallResult, Isolates, TransactionOptions } from "../isolate/isolates.ts";
import type { DeploymentManifest, FunctionCall } from "../isolate/protocol.ts";

export class DeploymentLeases {
  readonly #isolates: Isolates;
  readonly #calls = new Map<string, number>();
  /** The live one, and those whose calls have not ended. */
  readonly #inUse = new Map<string, DeploymentManifest>();
  #live: string | undefined;
  /** Called when a deployment has been retired: nothing reads its files any more. */
  onRetired: () => void = () => {};

  constructor(isolates: Isolates) {
    this.#isolates = isolates;
  }

  /** The live one, and those whose calls have not ended. */
  get inUse(): readonly DeploymentManifest[] {
    return [...this.#inUse.values()];
  }

  /** Loads a deployment that is about to become the live one. */
  async prepare(manifest: DeploymentManifest): Promise<void> {
    this.#inUse.set(manifest.id, manifest);
    await this.#isolates.prepare(manifest);
  }

  /** Gives up what was prepared. */
  discard(manifest: DeploymentManifest): void {
    this.#retireIfUnused(manifest.id);
  }

  /** Makes a deployment the live one. */
  deploy(manifest: DeploymentManifest): void {
    const previous = this.#live;
    this.#isolates.deploy(manifest);
    this.#inUse.set(manifest.id, manifest);
    this.#live = manifest.id;
    if (previous !== undefined) this.#retireIfUnused(previous);
  }

  async runTransaction(
    call: FunctionCall,
    args: string,
    options?: TransactionOptions,
  ): Promise<CallResult> {
    this.#acquire(call.deployment);
    try {
      return await this.#isolates.runTransaction(call, args, options);
    } finally {
      this.#release(call.deployment);
    }
  }

  async runAction(
    call: FunctionCall,
    body: Uint8Array,
    host: ActionHost,
    client?: string,
  ): Promise<CallResult> {
    this.#acquire(call.deployment);
    try {
      return await this.#isolates.runAction(call, body, host, client);
    } finally {
      this.#release(call.deployment);
    }
  }

  aborted(origin: { isolate: number; sequence: number }): void {
    this.#isolates.aborted(origin);
  }

  #acquire(deployment: string): void {
    this.#calls.set(deployment, (this.#calls.get(deployment) ?? 0) + 1);
  }

  #release(deployment: string): void {
    const calls = this.#calls.get(deployment)! - 1;
    if (calls > 0) this.#calls.set(deployment, calls);
    else {
      this.#calls.delete(deployment);
      this.#retireIfUnused(deployment);
    }
  }

  #retireIfUnused(deployment: string): void {
    if (deployment === this.#live || this.#calls.has(deployment)) return;
    this.#isolates.retire(deployment);
    this.#inUse.delete(deployment);
    this.onRetired();
  }
}
