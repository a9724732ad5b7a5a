/** A page built by Vite as an app's own build would, and served from another origin than the server's. */
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { fileURLToPath } from "node:url";
import { build, type Rolldown } from "vite";

const fixtures = fileURLToPath(new URL("../fixtures/web/", import.meta.url));
const contentTypes: Record<string, string> = {
  html: "text/html",
  js: "text/javascript",
  css: "text/css",
};

/** A folder in `tests/fixtures/web/`. */
type PageName = "react" | "signin" | "svelte" | "vue";

export class Site implements AsyncDisposable {
  readonly url: string;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  /** `files`: by path. */
  private constructor(path: string, files: ReadonlyMap<string, string | Uint8Array<ArrayBuffer>>) {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
      const { pathname } = new URL(request.url);
      const type = contentTypes[pathname.slice(pathname.lastIndexOf(".") + 1)];
      return new Response(files.get(pathname) ?? null, {
        status: files.has(pathname) ? 200 : 404,
        headers: { "content-type": type ?? "application/octet-stream" },
      });
    });
    this.url = `http://127.0.0.1:${this.#server.addr.port}${path}`;
  }

  /** The page of that name, for a server at `convexUrl`; `root` is a folder of pages, with a slash at its end. */
  static async build(name: PageName, convexUrl: string, root = fixtures): Promise<Site> {
    const { output } = await build({
      root,
      configFile: false,
      logLevel: "warn",
      plugins: name === "svelte" ? svelte() : [],
      define: { "import.meta.env.VITE_CONVEX_URL": JSON.stringify(convexUrl) },
      build: {
        write: false,
        rolldownOptions: {
          input: `${root}${name}/index.html`,
          // Packages mark modules with "use client", which means nothing to a page.
          checks: { moduleLevelDirective: false },
        },
      },
    }) as Rolldown.RolldownOutput;
    const files = output.map((file) =>
      [
        `/${file.fileName}`,
        file.type === "chunk" ? file.code : file.source as string | Uint8Array<ArrayBuffer>,
      ] as const
    );
    return new Site(`/${name}/index.html`, new Map(files));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}
