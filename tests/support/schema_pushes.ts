/** Pushes of one app under changing schemas, step by step: what the command line does in one go. */
import assert from "node:assert/strict";
import type { GenericSchema, SchemaDefinition } from "convex/server";
import { ApiClient, ApiError } from "../../cli/api_client.ts";
import { loadAppFolder } from "../../src/deploy/app_folder.ts";
import { type AppBundle, bundleApp } from "../../src/deploy/bundle.ts";
import { generateCode } from "../../src/deploy/generate_code.ts";
import type { ServerProcess } from "./server_process.ts";

export type Schema = SchemaDefinition<GenericSchema, boolean>;

export interface StartedPush {
  readonly schemaChange: {
    readonly schemaIds: Readonly<Record<string, string | null>>;
    readonly indexDiffs: Readonly<Record<string, IndexDiff>>;
  };
}

export interface IndexDiff {
  readonly added_indexes: readonly { readonly name: string }[];
  readonly removed_indexes: readonly { readonly name: string }[];
  readonly enabled_indexes: readonly { readonly name: string }[];
  readonly disabled_indexes: readonly { readonly name: string }[];
}

export interface SchemaStatus {
  readonly type: "inProgress" | "failed" | "raceDetected" | "complete";
  readonly error?: string;
  readonly tableName?: string | null;
}

export class SchemaPushes {
  readonly #bundle: AppBundle;
  readonly #version: string;
  #client: ApiClient;

  private constructor(bundle: AppBundle, version: string, server: ServerProcess) {
    this.#bundle = bundle;
    this.#version = version;
    this.#client = new ApiClient(server.url, server.adminKey);
  }

  /** Of the app in `folder`, whose own schema does not matter. */
  static async open(folder: string, server: ServerProcess): Promise<SchemaPushes> {
    const app = await loadAppFolder(folder);
    await generateCode(app);
    return new SchemaPushes(await bundleApp(app), app.convexPackage.version, server);
  }

  /** From now on the pushes go to this server. */
  use(server: ServerProcess): void {
    this.#client = new ApiClient(server.url, server.adminKey);
  }

  /** Body of `start_push`, without a key. */
  startRequest(schema: Schema | null) {
    const { definition, modules } = this.#bundle;
    return {
      dryRun: false,
      functions: "convex/",
      appDefinition: {
        definition,
        schema: schema && schemaModule(schema),
        changedModules: modules,
        unchangedModuleHashes: [],
        udfServerVersion: this.#version,
      },
    };
  }

  async start(schema: Schema | null): Promise<StartedPush> {
    return await this.#client.postCompressed(
      "/api/deploy2/start_push",
      this.startRequest(schema),
    ) as StartedPush;
  }

  /** Its state when it is no longer in progress, or after `timeoutMs`. */
  async wait({ schemaChange }: StartedPush, timeoutMs = 60_000): Promise<SchemaStatus> {
    return await this.#client.post("/api/deploy2/wait_for_schema", {
      schemaChange,
      timeoutMs,
      dryRun: false,
    }) as SchemaStatus;
  }

  async finish(startPush: StartedPush): Promise<IndexDiff> {
    const answer = await this.#client.postCompressed("/api/deploy2/finish_push", {
      startPush,
      dryRun: false,
      message: null,
    }) as { componentDiffs: Record<string, { indexDiff: IndexDiff }> };
    return answer.componentDiffs[""]!.indexDiff;
  }

  /** All steps of a push that must succeed. */
  async push(schema: Schema | null): Promise<IndexDiff> {
    const started = await this.start(schema);
    const status = await this.wait(started);
    assert.equal(status.type, "complete", JSON.stringify(status));
    return await this.finish(started);
  }
}

/** Fails unless the server refuses with this code and text. */
export async function assertRefused(
  request: Promise<unknown>,
  code: string,
  message: string | RegExp,
): Promise<void> {
  await assert.rejects(request, (error) => {
    assert.ok(error instanceof ApiError, String(error));
    assert.equal(error.code, code, error.message);
    if (typeof message === "string") assert.equal(error.message, message);
    else assert.match(error.message, message);
    return true;
  });
}

function schemaModule(schema: Schema) {
  const text = (schema as unknown as { export(): string }).export();
  const source = `export default { export: () => ${JSON.stringify(text)} };`;
  return { path: "schema.js", source, environment: "isolate" };
}
