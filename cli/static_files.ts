/** Serves the page that an app may have beside its functions, in the folder `public/`, during development. */
import { extname, join } from "node:path";
import type { AppFolder } from "../src/deploy/app_folder.ts";

const contentTypes: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".gif": "image/gif",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".jpg": "image/jpeg",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".map": "application/json",
  ".mjs": "text/javascript; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
  ".webp": "image/webp",
  ".woff2": "font/woff2",
};

/** The browser client of the npm package, as one script: pages work without a build of their own. */
const clientPath = "/_hull/convex.js";

/**
 * A handler of requests for files of `public/`; `/` is its index.html. Undefined answers mean that there is no
 * such file. Files are read anew each time: somebody is writing them.
 */
export function staticFiles(
  { path: appPath, convexPackage }: Pick<AppFolder, "path" | "convexPackage">,
): (request: Request, target: string) => Promise<Response | undefined> {
  return async (request, target) => {
    if (request.method !== "GET" && request.method !== "HEAD") return undefined;
    if (target === clientPath) {
      return await fileResponse(join(convexPackage.folder, "dist/browser.bundle.js"));
    }
    const path = filePath(target);
    return path === undefined ? undefined : await fileResponse(join(appPath, "public", path));
  };
}

async function fileResponse(path: string): Promise<Response | undefined> {
  const bytes = await readIfFile(path);
  if (bytes === undefined) return undefined;
  const contentType = contentTypes[extname(path).toLowerCase()] ?? "application/octet-stream";
  return new Response(bytes, {
    headers: { "content-type": contentType, "cache-control": "no-cache" },
  });
}

/** Relative to the folder; undefined for what could lead out of it, or to hidden files. */
function filePath(target: string): string | undefined {
  let path: string;
  try {
    path = decodeURIComponent(target.replace(/\?.*$/, ""));
  } catch {
    return undefined; // No path that a browser makes.
  }
  if (path.endsWith("/")) path += "index.html";
  const names = path.split("/").slice(1);
  return names.some((name) => name.startsWith(".") || /[\\\0]/.test(name))
    ? undefined
    : names.join("/");
}

async function readIfFile(path: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    const isNoFile = error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.NotADirectory || error instanceof Deno.errors.IsADirectory;
    if (isNoFile) return undefined;
    throw error;
  }
}
