/** What a finished push leaves behind: the record `deployment`, written by one commit (deploy-protocol 3.8). */
import type { AuthProvider } from "../auth/auth_provider.ts";
import type { ComponentId } from "../database/component.ts";
import type { AnalyzedModule } from "../isolate/protocol.ts";
import type { DeclaredVariable } from "./declared_variables.ts";

export interface PushedModule {
  readonly path: string;
  readonly environment: "isolate" | "node";
  /** SHA-256, hex, of source followed by source map: what the CLI compares. */
  readonly hash: string;
  /** Under the data folder's `modules/`: factory file (isolate) or bundle (node). */
  readonly file: string;
  /** Under `modules/`: the source and source map as pushed, for later pushes that send only the hash. */
  readonly sourceFile: string;
}

export interface DeploymentRecord {
  readonly id: string;
  readonly pushedAtMs: number;
  readonly modules: readonly PushedModule[];
  /** By module path with `.js`. */
  readonly analysis: Readonly<Record<string, AnalyzedModule>>;
  readonly udfConfig: {
    readonly serverVersion: string;
    readonly importSeed: string;
    readonly importTimeMs: number;
  };
  /** JSON text as exported by schema.js; null without one. */
  readonly schema: string | null;
  /** See `DeployedComponent`; absent in records of versions that knew no components. */
  readonly definitions?: readonly DeployedDefinition[];
  readonly components?: readonly DeployedComponent[];
  /** Where the app's own HTTP routes begin, `/p/`; absent or null: at the root. */
  readonly httpPrefix?: string | null;
  /** Names of the app's children by the path, `/p/`, under which their routes are. */
  readonly httpMounts?: Readonly<Record<string, string>>;
  /** The variables that the app declares; absent in records of versions that did not keep them. */
  readonly declaredVariables?: readonly DeclaredVariable[];
  readonly authProviders: readonly AuthProvider[];
  /** The built-in variables that `auth.config.js` was evaluated with; records of older versions lack them. */
  readonly builtInVariables?: Readonly<Record<string, string>>;
  readonly nodeVersion: string | null;
  /** Absent in records of versions that knew none. */
  readonly externalPackages?: ExternalPackages | null;
}

/** All of its code: that of the app and of every definition. */
export function modulesOf(
  { modules, definitions = [] }: Pick<DeploymentRecord, "modules" | "definitions">,
): readonly PushedModule[] {
  return [...modules, ...definitions.flatMap((definition) => definition.modules)];
}

/** A folder with `convex.config.ts` and the code of components (components 1). The app's own is the record itself. */
export interface DeployedDefinition {
  /** As pushed, relative to the app's functions folder. */
  readonly path: string;
  /** Version of the package `convex` that it was bundled with. */
  readonly serverVersion: string;
  readonly modules: readonly PushedModule[];
  /** By module path with `.js`. */
  readonly analysis: Readonly<Record<string, AnalyzedModule>>;
  /** JSON text as exported by schema.js; null without one. */
  readonly schema: string | null;
  /** The same for as long as all is that `analysis` and `schema` depend on. */
  readonly analysisKey: string;
  /** Names of children by the path, `/p/`, under which their routes are. */
  readonly httpMounts: Readonly<Record<string, string>>;
}

/** One use of a definition (components 1). Parents come before their children. */
export interface DeployedComponent {
  readonly id: ComponentId;
  readonly parent: ComponentId;
  readonly name: string;
  /** Names from the app downwards: `child/grandchild`. */
  readonly path: string;
  /** Path of its definition. */
  readonly definition: string;
  /** Values of its arguments as JSON texts; absent: none. */
  readonly args?: Readonly<Record<string, string>>;
  /** What its variables are bound to: a value, or a variable of the deployment. Unbound ones are not listed. */
  readonly env: readonly (readonly [name: string, EnvBinding])[];
  /** Where its HTTP routes begin, as seen from the app; null: nowhere. */
  readonly httpPrefix: string | null;
}

export type EnvBinding =
  | { readonly type: "value"; readonly value: string }
  | { readonly type: "envVar"; readonly name: string };

/** A package that Node modules import without having it in them. */
export interface NodeDependency {
  readonly name: string;
  /** Exact. */
  readonly version: string;
}

/** Packages that were installed for a deployment; see external_packages.ts. */
export interface ExternalPackages {
  /** Name of their folder under the data folder's `packages/`. */
  readonly key: string;
  readonly dependencies: readonly NodeDependency[];
  /** The `package-lock.json` that npm wrote. */
  readonly lock: string;
}

/** Keys of records in the database. */
export const recordKeys = {
  deployment: "deployment",
  encryptedVariables: "encrypted_environment_variables",
  /** As plain text, in data folders of versions that did not encrypt. */
  environmentVariables: "environment_variables",
  canonicalUrls: "canonical_urls",
  instance: "instance",
} as const;

/** The record that belongs to the database as a whole. */
export interface InstanceRecord {
  /** Behind URLs of files (src/database/storage_urls.ts) and handles of functions (src/isolate/function_handles.ts). */
  readonly fileStorageSecret: string;
}
