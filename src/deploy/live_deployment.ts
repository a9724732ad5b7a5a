/** The deployment that calls run under: the newest finished push together with the environment variables. */
import { join } from "node:path";
import type { DeploymentManifest } from "../isolate/protocol.ts";
import type { SnapshotReader } from "../persistence/persistence.ts";
import { componentManifests } from "./component_manifests.ts";
import { type DeploymentRecord, type PushedModule, recordKeys } from "./deployment.ts";

export interface LiveDeploymentOptions {
  readonly dataFolder: string;
  /** CONVEX_CLOUD_URL and CONVEX_SITE_URL as they are now. */
  readonly builtInVariables: () => Readonly<Record<string, string>>;
  /** See src/database/storage_urls.ts. */
  readonly fileStorageSecret: string;
  /**
   * Makes calls that begin from now on run under this deployment. `changed`: its code is live already, and these
   * environment variables are other ones.
   */
  readonly use: (
    record: DeploymentRecord,
    manifest: DeploymentManifest,
    changed?: ReadonlySet<string>,
  ) => void;
  /** Variables have changed, and there is no code yet that they could be used with. */
  readonly onVariablesAlone?: () => void;
}

/** The part of a record that says what runs, of which Node's part is not always known. */
type RunnableRecord =
  & Pick<DeploymentRecord, "id" | "modules" | "udfConfig">
  & Partial<
    Pick<DeploymentRecord, "definitions" | "components" | "nodeVersion" | "externalPackages">
  >;

export class LiveDeployment {
  readonly #options: LiveDeploymentOptions;
  #record: DeploymentRecord | null = null;
  #variables: Readonly<Record<string, string>> = {};
  /** With the built-in ones, as code sees them. */
  #inUse: Readonly<Record<string, string>> = {};
  #isSwitching = false;
  /** Tells manifests of one record apart. */
  #manifestCount = 0;
  /** Ends with the change that was asked for last. */
  #lastChange: Promise<unknown> = Promise.resolve();

  constructor(options: LiveDeploymentOptions) {
    this.#options = options;
  }

  /** Null until the first push has finished. */
  get record(): DeploymentRecord | null {
    return this.#record;
  }

  /** The user's variables, without the built-in ones. */
  get variables(): Readonly<Record<string, string>> {
    return this.#variables;
  }

  /** Those that the server sets. */
  get builtInVariables(): Readonly<Record<string, string>> {
    return this.#options.builtInVariables();
  }

  /** Takes up what an earlier run of the server left in the database. */
  load(reader: SnapshotReader, variables: Readonly<Record<string, string>>): void {
    this.#variables = variables;
    const record = reader.getRecord(recordKeys.deployment);
    if (record !== undefined) this.activate(JSON.parse(record));
  }

  /** Runs changes of code and of variables one after the other: what one checks still holds when it commits. */
  async exclusively<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#lastChange.then(change);
    // The next change does not depend on whether this one worked; its caller learns that.
    this.#lastChange = result.catch(() => {});
    return await result;
  }

  /** Whether a push is being committed: the database may be ahead of the code. */
  get isSwitching(): boolean {
    return this.#isSwitching;
  }

  /** Switches to a push, which isolates know as `manifest`, as soon as `commit` says that it is visible. */
  async switchTo(
    record: DeploymentRecord,
    manifest: DeploymentManifest,
    commit: (onVisible: () => void) => Promise<unknown>,
  ): Promise<void> {
    this.#isSwitching = true;
    try {
      await commit(() => {
        this.#isSwitching = false;
        this.#use(record, manifest);
      });
    } finally {
      this.#isSwitching = false;
    }
  }

  /** Switches to a push that has been committed. */
  activate(record: DeploymentRecord): void {
    this.#use(record, this.nextManifest(record));
  }

  /** Switches to variables that have been committed, and to the record that was committed with them. */
  setVariables(
    variables: Readonly<Record<string, string>>,
    record: DeploymentRecord | null = null,
  ): void {
    this.#variables = variables;
    this.#record = record ?? this.#record;
    if (this.#record === null) return this.#options.onVariablesAlone?.();
    const manifest = this.nextManifest(this.#record);
    const changed = changedNames(this.#inUse, manifest.environmentVariables);
    this.#use(this.#record, manifest, changed);
  }

  #use(
    record: DeploymentRecord,
    manifest: DeploymentManifest,
    changed?: ReadonlySet<string>,
  ): void {
    this.#record = record;
    this.#inUse = manifest.environmentVariables;
    this.#options.use(record, manifest, changed);
  }

  /** A manifest of the live code that no earlier one is mistaken for. */
  nextManifest(
    record: DeploymentRecord,
    environmentVariables?: Readonly<Record<string, string>>,
  ): DeploymentManifest {
    const id = `${record.id}.${this.#manifestCount++}`;
    return this.manifestOf({ ...record, id }, environmentVariables);
  }

  /** What isolates need to run or analyse these modules, with the variables as they are now unless others are given. */
  manifestOf(
    record: RunnableRecord,
    environmentVariables = { ...this.#variables, ...this.builtInVariables },
  ): DeploymentManifest {
    const { id, modules, udfConfig, nodeVersion, externalPackages } = record;
    const { builtInVariables } = this;
    const entry = ({ path, environment, file }: PushedModule) => ({
      path,
      environment,
      file: join(modulesFolder(this.#options.dataFolder), file),
    });
    return {
      id,
      modules: modules.map(entry),
      components: componentManifests(record, {
        variables: environmentVariables,
        builtInVariables,
        entry,
      }),
      environmentVariables,
      importSeed: udfConfig.importSeed,
      importTimeMs: udfConfig.importTimeMs,
      fileStorageSecret: this.#options.fileStorageSecret,
      nodeVersion: nodeVersion ?? null,
      nodePackages: externalPackages
        ? join(packagesFolder(this.#options.dataFolder), externalPackages.key, "node_modules")
        : null,
    };
  }
}

/** Where the external packages of Node modules lie. */
export function packagesFolder(dataFolder: string): string {
  return join(dataFolder, "packages");
}

/** Where the files of pushed modules lie. */
export function modulesFolder(dataFolder: string): string {
  return join(dataFolder, "modules");
}

/** Names whose value is not the same in both. */
function changedNames(
  before: Readonly<Record<string, string>>,
  after: Readonly<Record<string, string>>,
): ReadonlySet<string> {
  const names = [...Object.keys(before), ...Object.keys(after)];
  return new Set(names.filter((name) => before[name] !== after[name]));
}
