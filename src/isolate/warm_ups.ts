/** Isolates that load a deployment ahead of its first call, and those who wait for them. */
import type { Environment } from "../environment.ts";
import type { Isolate } from "./isolate.ts";
import type { DeploymentManifest } from "./protocol.ts";

/** A call may keep an isolate busy for longer; then its first call of the new code is slow. In milliseconds. */
const warmUpMsMax = 1000;

type WarmIsolate = Pick<Isolate, "number" | "send" | "load">;

export class WarmUps {
  readonly #environment: Environment;
  /** By isolate. */
  readonly #waiting = new Map<number, () => void>();

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** Resolves when all of them are warm or gone, or after a while. */
  async run(isolates: Iterable<WarmIsolate>, manifest: DeploymentManifest): Promise<void> {
    const all = [...isolates];
    const warm = Promise.all(all.map((isolate) => {
      isolate.load(manifest);
      isolate.send({ type: "warmUp", deployment: manifest.id });
      return new Promise<void>((resolve) => this.#waiting.set(isolate.number, resolve));
    }));
    await withinWarmUp(warm, this.#environment);
    for (const { number } of all) this.ended(number);
  }

  /** An isolate is warm, or gone. */
  ended(isolate: number): void {
    this.#waiting.get(isolate)?.();
    this.#waiting.delete(isolate);
  }
}

/** Resolves when `work` is done, or has taken too long for somebody who waits for a push. */
export async function withinWarmUp(
  work: Promise<unknown>,
  environment: Environment,
): Promise<void> {
  let cancelTimer = () => {};
  const tooLong = new Promise<void>((resolve) => {
    cancelTimer = environment.setTimer(warmUpMsMax, resolve);
  });
  await Promise.race([work, tooLong]);
  cancelTimer();
}
