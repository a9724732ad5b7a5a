/**
 * What is deployed now: the code of the last push and the environment variables. Both are records in the
 * database and change here alone, one change at a time:
 *
 *   1. the new records are committed, together with what else a push changes;
 *   2. a new manifest is made from them and given to the isolates;
 *   3. calls that begin from then on run under it.
 */
import { join } from "node:path";
import { assert } from "../assert.ts";
import type { CommitterClient } from "../committer/protocol.ts";
import { RequestError } from "../errors.ts";
import type { Isolates } from "../isolate/isolates.ts";
import type { DeploymentManifest } from "../isolate/protocol.ts";
import type { CatalogChange } from "../persistence/persistence.ts";
import { type DeploymentRecord, recordKeys } from "./deployment.ts";
import {
  changeVariables,
  type EnvironmentVariableChange,
  type EnvironmentVariables,
} from "./environment_variables.ts";

export interface LiveDeploymentParts {
  readonly committer: Pick<CommitterClient, "changeCatalog">;
  readonly isolates: Pick<Isolates, "deploy" | "retire">;
  /** Where calls begin. */
  readonly functions: {
    setDeployment(record: DeploymentRecord, manifest: DeploymentManifest): void;
  };
}

export interface LiveDeploymentOptions {
  readonly dataFolder: string;
  /** Unless an admin has set others. */
  readonly defaultUrls: CanonicalUrls;
  readonly fileStorageSecret: string;
}

/** Where clients reach the API and the app's HTTP actions: CONVEX_CLOUD_URL and CONVEX_SITE_URL. */
export interface CanonicalUrls {
  readonly cloud: string;
  readonly site: string;
}

/** The records as they are stored. */
export interface StoredDeployment {
  readonly deployment: string | undefined;
  readonly environmentVariables: string | undefined;
  readonly canonicalUrls: string | undefined;
}

export class LiveDeployment {
  readonly #parts: LiveDeploymentParts;
  readonly #options: LiveDeploymentOptions;
  /** Set by an admin, in place of the defaults. */
  #chosenUrls: Partial<CanonicalUrls> = {};
  #record: DeploymentRecord | null = null;
  #variables: EnvironmentVariables = {};
  /** The manifest that calls begin under; null before the first push. */
  #manifest: DeploymentManifest | null = null;
  #manifestsMade = 0;
  /** Ends with the change that was asked for last. */
  #lastChange: Promise<unknown> = Promise.resolve();

  constructor(parts: LiveDeploymentParts, options: LiveDeploymentOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  /** Null before the first push. */
  get record(): DeploymentRecord | null {
    return this.#record;
  }

  /** Those of the user, without the built-in ones. */
  get environmentVariables(): EnvironmentVariables {
    return this.#variables;
  }

  get urls(): CanonicalUrls {
    return { ...this.#options.defaultUrls, ...this.#chosenUrls };
  }

  /** At start: goes on with what an earlier process committed. */
  restore(stored: StoredDeployment): void {
    assert(this.#manifest === null, "a deployment is restored once");
    if (stored.environmentVariables !== undefined) {
      this.#variables = JSON.parse(stored.environmentVariables);
    }
    if (stored.canonicalUrls !== undefined) this.#chosenUrls = JSON.parse(stored.canonicalUrls);
    if (stored.deployment !== undefined) this.#record = JSON.parse(stored.deployment);
    this.#activate();
  }

  /**
   * Makes a push live. `change` is committed in the same transaction as its record.
   * @throws RequestError when the environment variables are no longer those that the push was built with.
   */
  async push(
    record: DeploymentRecord,
    change: CatalogChange,
    builtWith: EnvironmentVariables,
  ): Promise<void> {
    await this.#exclusively(async () => {
      if (!isSame(builtWith, this.#variables)) throw variablesChanged();
      const stored = { key: recordKeys.deployment, json: JSON.stringify(record) };
      await this.#parts.committer.changeCatalog({
        ...change,
        records: [...change.records ?? [], stored],
      });
      this.#record = record;
      this.#activate();
    });
  }

  /** Changes environment variables, all or none. @throws RequestError when a rule forbids one of them. */
  async changeEnvironmentVariables(changes: readonly EnvironmentVariableChange[]): Promise<void> {
    await this.#exclusively(async () => {
      const variables = changeVariables(this.#variables, changes);
      if (isSame(variables, this.#variables)) return;
      await this.#store(recordKeys.environmentVariables, variables);
      this.#variables = variables;
      this.#activate();
    });
  }

  /** Sets one of the URLs; null restores its default. */
  async changeUrl(which: keyof CanonicalUrls, url: string | null): Promise<void> {
    await this.#exclusively(async () => {
      const { [which]: _, ...others } = this.#chosenUrls;
      const chosen = url === null ? others : { ...others, [which]: url };
      await this.#store(recordKeys.canonicalUrls, chosen);
      this.#chosenUrls = chosen;
      this.#activate();
    });
  }

  #activate(): void {
    if (this.#record === null) return;
    const previous = this.#manifest;
    const manifest = this.#makeManifest(this.#record);
    this.#manifest = manifest;
    this.#parts.isolates.deploy(manifest);
    this.#parts.functions.setDeployment(this.#record, manifest);
    if (previous !== null) this.#parts.isolates.retire(previous.id);
  }

  #makeManifest(record: DeploymentRecord): DeploymentManifest {
    this.#manifestsMade++;
    return {
      id: `${record.id}.${this.#manifestsMade}`,
      modules: record.modules.map(({ path, environment, file }) => ({
        path,
        environment,
        file: join(this.#options.dataFolder, "modules", file),
      })),
      environmentVariables: {
        ...this.#variables,
        CONVEX_CLOUD_URL: this.urls.cloud,
        CONVEX_SITE_URL: this.urls.site,
      },
      importSeed: record.udfConfig.importSeed,
      importTimeMs: record.udfConfig.importTimeMs,
      fileStorageSecret: this.#options.fileStorageSecret,
    };
  }

  async #store(key: string, value: unknown): Promise<void> {
    const json = JSON.stringify(value);
    await this.#parts.committer.changeCatalog({ records: [{ key, json }] });
  }

  /** What is checked inside `change` still holds when it commits. */
  async #exclusively(change: () => Promise<void>): Promise<void> {
    const result = this.#lastChange.then(change);
    this.#lastChange = result.catch(reportedToItsCaller);
    await result;
  }
}

function isSame(a: EnvironmentVariables, b: EnvironmentVariables): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

function variablesChanged(): RequestError {
  return new RequestError(
    "badRequest",
    "RaceDetected",
    "Environment variables have changed during push",
  );
}

/** The next change does not depend on whether the one before it worked. */
function reportedToItsCaller(): void {}
