/** An npm registry with the packages that a test gives it, for npm and nobody else. */
import { makeApp } from "./apps.ts";

export interface PublishedPackage {
  readonly name: string;
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  /** By path in the package; without package.json. */
  readonly files: Readonly<Record<string, string>>;
}

export class NpmRegistry implements AsyncDisposable {
  /** Paths asked for. */
  readonly requests: string[] = [];
  readonly #packages: PublishedPackage[] = [];
  readonly #server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    (request) => this.#answer(new URL(request.url)),
  );

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/`;
  }

  publish(published: PublishedPackage): void {
    this.#packages.push(published);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #answer({ pathname }: URL): Promise<Response> {
    this.requests.push(pathname);
    const [name, version] = decodeURIComponent(pathname.slice(1)).replace(/\.tgz$/, "").split("@");
    const versions = this.#packages.filter((each) => each.name === name);
    if (versions.length === 0) return new Response("{}", { status: 404 });
    if (version === undefined) return Response.json(this.#description(versions));
    return new Response(await pack(versions.find((each) => each.version === version)!));
  }

  #description(versions: readonly PublishedPackage[]) {
    const entries = versions.map((each) => {
      const dist = { tarball: `${this.url}${each.name}@${each.version}.tgz` };
      return [each.version, { ...manifestOf(each), dist }] as const;
    });
    const latest = versions.at(-1)!;
    return {
      name: latest.name,
      "dist-tags": { latest: latest.version },
      versions: Object.fromEntries(entries),
    };
  }
}

function manifestOf({ name, version, dependencies = {} }: PublishedPackage) {
  return { name, version, dependencies, main: "index.js" };
}

/** The archive of a package, as `npm publish` makes it. */
async function pack(published: PublishedPackage): Promise<Uint8Array<ArrayBuffer>> {
  const files = Object.entries({
    ...published.files,
    "package.json": JSON.stringify(manifestOf(published)),
  });
  const folder = await makeApp({
    files: Object.fromEntries(files.map(([path, text]) => [`package/${path}`, text])),
  });
  try {
    const { stdout } = await new Deno.Command("tar", {
      args: ["-czf", "-", "package"],
      cwd: folder,
    }).output();
    return stdout;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
