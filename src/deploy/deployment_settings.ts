/**
 * What an administrator sets for a deployment apart from its code: environment variables and the URLs under
 * which clients reach it. Each is a record in the database, stored as plain text; a change takes effect
 * with the next call of every function.
 */
import type { CommitterClient } from "../committer/protocol.ts";
import type { SnapshotReader } from "../persistence/persistence.ts";
import { recordKeys } from "./deployment.ts";
import { changeVariables, type EnvironmentVariableChange } from "./environment_variables.ts";
import type { LiveDeployment } from "./live_deployment.ts";

/** Origins of the API and of the app's HTTP actions, without a slash at the end. */
export interface CanonicalUrls {
  readonly cloud: string;
  readonly site: string;
}

export class DeploymentSettings {
  readonly #live: LiveDeployment;
  readonly #committer: Pick<CommitterClient, "changeCatalog">;
  readonly #defaultUrls: CanonicalUrls;
  /** In place of the defaults. */
  #chosenUrls: Partial<CanonicalUrls> = {};

  constructor(
    live: LiveDeployment,
    committer: Pick<CommitterClient, "changeCatalog">,
    defaultUrls: CanonicalUrls,
  ) {
    this.#live = live;
    this.#committer = committer;
    this.#defaultUrls = defaultUrls;
  }

  /** Takes up what an earlier run of the server left; before the deployment is loaded, which needs the URLs. */
  load(reader: Pick<SnapshotReader, "getRecord">): void {
    this.#chosenUrls = JSON.parse(reader.getRecord(recordKeys.canonicalUrls) ?? "{}");
  }

  get urls(): CanonicalUrls {
    return { ...this.#defaultUrls, ...this.#chosenUrls };
  }

  /** What functions see of the URLs. */
  get builtInVariables(): Readonly<Record<string, string>> {
    const { cloud, site } = this.urls;
    return { CONVEX_CLOUD_URL: cloud, CONVEX_SITE_URL: site };
  }

  /** Those that the administrator has set. */
  get environmentVariables(): Readonly<Record<string, string>> {
    return this.#live.variables;
  }

  /** Makes all changes or, when a rule forbids one of them, none. @throws RequestError that names the rule. */
  async changeEnvironmentVariables(changes: readonly EnvironmentVariableChange[]): Promise<void> {
    await this.#live.exclusively(async () => {
      const variables = changeVariables(this.#live.variables, changes);
      await this.#store(recordKeys.environmentVariables, variables);
      this.#live.setVariables(variables);
    });
  }

  /** Sets one of the URLs; null restores its default. */
  async changeUrl(which: keyof CanonicalUrls, url: string | null): Promise<void> {
    await this.#live.exclusively(async () => {
      const { [which]: _, ...others } = this.#chosenUrls;
      const chosen = url === null ? others : { ...others, [which]: url.replace(/\/+$/, "") };
      await this.#store(recordKeys.canonicalUrls, chosen);
      this.#chosenUrls = chosen;
      this.#live.refresh();
    });
  }

  async #store(key: string, value: unknown): Promise<void> {
    await this.#committer.changeCatalog({ records: [{ key, json: JSON.stringify(value) }] });
  }
}
