/** Pushes an app whenever its files change, and says how that went. */
import { join } from "node:path";
import { AppError, loadAppFolder } from "../src/deploy/app_folder.ts";
import { bundleApp, type BundleOptions } from "../src/deploy/bundle.ts";
import { generateCode } from "../src/deploy/generate_code.ts";
import type { Environment } from "../src/environment.ts";
import { type ApiClient, ApiError } from "./api_client.ts";
import { describePushFailure } from "./push_failure.ts";
import type { DevTypes } from "./dev_types.ts";
import { pushBundle } from "./push.ts";
import { listChanges, renderChanges } from "./push_changes.ts";
import { styler, withProgress } from "./terminal.ts";
import { AppWatcher } from "./watch.ts";

export interface DevLoopOptions {
  readonly appPath: string;
  readonly client: ApiClient;
  readonly environment: Environment;
  readonly bundling?: BundleOptions;
  /** Left out, types are not checked. */
  readonly types?: DevTypes;
  /** Takes what the developer is to read. */
  readonly print: (text: string) => void;
}

/** Refusals that other things than the app's files can end: documents, variables, another push. */
const retriedCodes = new Set([
  "SchemaFailed",
  "RaceDetected",
  "MissingEnvironmentVariables",
  "InvalidEnvironmentVariable",
  "AuthConfigMissingEnvironmentVariable",
]);
/** Until a push is tried again whose refusal the app's files cannot end, in milliseconds. */
const retryMs = 3000;

export class DevLoop {
  readonly #options: DevLoopOptions;
  /** What the server runs, as text to compare with. */
  #pushed: string | null = null;
  /** The last failure that was printed; null after a success. */
  #failure: string | null = null;

  constructor(options: DevLoopOptions) {
    this.#options = options;
  }

  /** Pushes once if types are right; false if that failed. */
  async pushOnce(): Promise<boolean> {
    await this.#push(null);
    return this.#failure === null;
  }

  /** Pushes, and again after each change, until `signal` fires. Changes during a push lead to one more. */
  async run(signal: AbortSignal): Promise<void> {
    const { appPath, environment } = this.#options;
    const { functionsPath } = await loadAppFolder(appPath);
    const watcher = new AppWatcher(functionsPath, environment);
    const stopped = new Promise<void>((resolve) =>
      signal.addEventListener("abort", () => resolve())
    );
    try {
      while (!signal.aborted) {
        const mayRetry = await this.#push(watcher);
        await this.#untilNextPush(watcher, stopped, mayRetry);
      }
    } finally {
      watcher.close();
    }
  }

  async #untilNextPush(
    watcher: AppWatcher,
    stopped: Promise<void>,
    mayRetry: boolean,
  ): Promise<void> {
    const waits = [watcher.changed(), stopped];
    let cancelRetry = () => {};
    if (mayRetry) {
      waits.push(
        new Promise((resolve) => {
          cancelRetry = this.#options.environment.setTimer(retryMs, resolve);
        }),
      );
    }
    await Promise.race(waits);
    cancelRetry();
  }

  /** True if it failed for a reason that may go away by itself. */
  async #push(watcher: AppWatcher | null): Promise<boolean> {
    const { appPath, client, environment, print, types } = this.#options;
    const startMs = environment.monotonicMs();
    try {
      const app = await loadAppFolder(appPath);
      await generateCode(app);
      const bundle = await withProgress("Bundling", () => bundleApp(app, this.#options.bundling));
      watcher?.setOtherFiles([
        ...bundle.inputs,
        join(app.path, "convex.json"),
        join(app.path, ".nvmrc"),
      ]);
      const text = JSON.stringify([bundle, app.nodeVersion]);
      if (text === this.#pushed && this.#failure === null) {
        // What has types alone is in no bundle.
        types?.check(app);
        return false;
      }
      for (const warning of bundle.warnings) print(warning);
      if (watcher === null) await types?.mustBeRight(app);
      const changes = listChanges(await pushBundle(client, app, bundle));
      this.#pushed = text;
      this.#failure = null;
      const sign = styler(Deno.stderr)("green", "✔");
      print(`${sign} Functions ready (${Math.round(environment.monotonicMs() - startMs)} ms)`);
      renderChanges(changes).forEach(print);
      if (watcher !== null) types?.check(app);
      return false;
    } catch (error) {
      if (!(error instanceof AppError) && !(error instanceof ApiError)) throw error;
      await this.#reportFailure(error);
      return error instanceof ApiError && (retriedCodes.has(error.code) || error.status >= 409);
    }
  }

  async #reportFailure(error: AppError | ApiError): Promise<void> {
    if (error.message === this.#failure) return;
    this.#failure = error.message;
    const consequence = this.#pushed === null
      ? "Nothing runs until it is mended."
      : "The version before keeps running.";
    this.#options.print(
      await describePushFailure(error.message, this.#options.appPath, consequence),
    );
  }
}
