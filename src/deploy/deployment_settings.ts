/**
 * What an administrator sets for a deployment apart from its code: environment variables and the URLs under
 * which clients reach it. Each is a record in the database; a change takes effect with the next call of
 * every function. `auth.config.js`, which reads them when it is pushed, is evaluated
 * again before a change: one that it cannot cope with is refused (deploy-protocol 3.9).
 */
import { isDeepStrictEqual } from "node:util";
import type { AuthProvider } from "../auth/auth_provider.ts";
import type { CommitterClient } from "../committer/protocol.ts";
import type { DeploymentManifest } from "../isolate/protocol.ts";
import type { SnapshotReader } from "../persistence/persistence.ts";
import { checkVariableChange } from "./declared_variables.ts";
import { type DeploymentRecord, recordKeys } from "./deployment.ts";
import { changeVariables, type EnvironmentVariableChange } from "./environment_variables.ts";
import type { LiveDeployment } from "./live_deployment.ts";
import type { RecordChange, StoredVariables } from "./stored_variables.ts";

/** Origins of the API and of the app's HTTP actions, without a slash at the end. */
export interface CanonicalUrls {
  readonly cloud: string;
  readonly site: string;
}

export interface DeploymentSettingsOptions {
  readonly live: LiveDeployment;
  readonly committer: Pick<CommitterClient, "changeCatalog">;
  readonly storedVariables: Pick<StoredVariables, "records">;
  readonly defaultUrls: CanonicalUrls;
  /** Evaluates `auth.config.js` with the variables of the manifest. */
  readonly evaluateAuthConfig: (manifest: DeploymentManifest) => Promise<readonly AuthProvider[]>;
}

type Variables = Readonly<Record<string, string>>;

export class DeploymentSettings {
  readonly #options: DeploymentSettingsOptions;
  /** In place of the defaults. */
  #chosenUrls: Partial<CanonicalUrls> = {};

  constructor(options: DeploymentSettingsOptions) {
    this.#options = options;
  }

  /** Takes up what an earlier run of the server left; before the deployment is loaded, which needs the URLs. */
  load(reader: Pick<SnapshotReader, "getRecord">): void {
    this.#chosenUrls = JSON.parse(reader.getRecord(recordKeys.canonicalUrls) ?? "{}");
  }

  get urls(): CanonicalUrls {
    return { ...this.#options.defaultUrls, ...this.#chosenUrls };
  }

  /** What functions see of the URLs. */
  get builtInVariables(): Variables {
    return variablesOf(this.urls);
  }

  /** Those that the administrator has set. */
  get environmentVariables(): Variables {
    return this.#options.live.variables;
  }

  /** Evaluates `auth.config.js` again if the server has come to other URLs since that was done. */
  async refreshAuthConfig(): Promise<void> {
    const { live } = this.#options;
    await live.exclusively(async () => {
      if (isDeepStrictEqual(live.record?.builtInVariables, this.builtInVariables)) return;
      const record = await this.#recordFor(live.variables, this.builtInVariables);
      if (record === null) return;
      await this.#store([recordOf(recordKeys.deployment, record)]);
      live.activate(record);
    });
  }

  /** Makes all changes or, when a rule forbids one of them, none. @throws RequestError that names the rule. */
  async changeEnvironmentVariables(changes: readonly EnvironmentVariableChange[]): Promise<void> {
    const { live, storedVariables } = this.#options;
    await live.exclusively(async () => {
      const variables = changeVariables(live.variables, changes);
      checkVariableChange(live.record?.declaredVariables ?? [], live.variables, variables);
      const record = await this.#recordFor(variables, this.builtInVariables);
      await this.#store([
        ...await storedVariables.records(variables),
        ...deploymentChange(record),
      ]);
      live.setVariables(variables, record);
    });
  }

  /** Sets one of the URLs; null restores its default. */
  async changeUrl(which: keyof CanonicalUrls, url: string | null): Promise<void> {
    const { live, defaultUrls } = this.#options;
    await live.exclusively(async () => {
      const { [which]: _, ...others } = this.#chosenUrls;
      const chosen = url === null ? others : { ...others, [which]: url.replace(/\/+$/, "") };
      const builtIn = variablesOf({ ...defaultUrls, ...chosen });
      const record = await this.#recordFor(live.variables, builtIn);
      await this.#store([recordOf(recordKeys.canonicalUrls, chosen), ...deploymentChange(record)]);
      this.#chosenUrls = chosen;
      live.setVariables(live.variables, record);
    });
  }

  /** The live record with its providers as `auth.config.js` gives them now; null without that file. */
  async #recordFor(variables: Variables, builtInVariables: Variables) {
    const { live, evaluateAuthConfig } = this.#options;
    const { record } = live;
    if (record === null || !record.modules.some(({ path }) => path === "auth.config.js")) {
      return null;
    }
    const manifest = live.nextManifest(record, { ...variables, ...builtInVariables });
    const authProviders = await evaluateAuthConfig(manifest);
    return { ...record, authProviders, builtInVariables } satisfies DeploymentRecord;
  }

  /** Writes all of them with one commit. */
  async #store(records: readonly RecordChange[]): Promise<void> {
    await this.#options.committer.changeCatalog({ records });
  }
}

function deploymentChange(record: DeploymentRecord | null): RecordChange[] {
  return record === null ? [] : [recordOf(recordKeys.deployment, record)];
}

function recordOf(key: string, value: unknown): RecordChange {
  return { key, json: JSON.stringify(value) };
}

function variablesOf({ cloud, site }: CanonicalUrls): Variables {
  return { CONVEX_CLOUD_URL: cloud, CONVEX_SITE_URL: site };
}
