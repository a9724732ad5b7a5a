/** Pushes of the app `tests/fixtures/deploys`, each with another version in place of the word VERSION. */
import { ApiClient } from "../../cli/api_client.ts";
import { pushBundle } from "../../cli/push.ts";
import { type AppFolder, loadAppFolder } from "../../src/deploy/app_folder.ts";
import { type AppBundle, bundleApp } from "../../src/deploy/bundle.ts";
import type { BundledModule } from "../../src/deploy/bundled_module.ts";
import { generateCode } from "../../src/deploy/generate_code.ts";
import { copyApp } from "./apps.ts";

/** Where to push to; a `ServerProcess` is one. */
interface Target {
  readonly url: string;
  readonly adminKey: string;
}

export class VersionedPushes implements AsyncDisposable {
  readonly #app: AppFolder;
  readonly #bundle: AppBundle;

  private constructor(app: AppFolder, bundle: AppBundle) {
    this.#app = app;
    this.#bundle = bundle;
  }

  /** Bundles the app once; what differs between versions is text. */
  static async open(
    files: Readonly<Record<string, string>> = {},
  ): Promise<VersionedPushes> {
    const app = await loadAppFolder(await copyApp("tests/fixtures/deploys", { files }));
    await generateCode(app);
    return new VersionedPushes(app, await bundleApp(app));
  }

  /** `edit` may change the text of a module besides. */
  async push(
    { url, adminKey }: Target,
    version: string,
    edit: (module: BundledModule) => string = ({ source }) => source,
  ): Promise<void> {
    const { modules, schema, definition, ...rest } = this.#bundle;
    const versioned = (module: BundledModule): BundledModule => ({
      ...module,
      source: edit({ ...module, source: module.source.replaceAll("VERSION", version) }),
    });
    await pushBundle(new ApiClient(url, adminKey), this.#app, {
      ...rest,
      modules: modules.map(versioned),
      schema: schema && versioned(schema),
      definition: versioned(definition),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#app.path, { recursive: true });
  }
}
