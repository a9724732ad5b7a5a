import assert from "node:assert/strict";
import { join } from "node:path";
import { staticFiles } from "./static_files.ts";

async function withFiles(
  test: (get: (target: string, method?: string) => Promise<Response | undefined>) => Promise<void>,
): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "hull-static-" });
  try {
    const folder = join(root, "public");
    await Deno.mkdir(join(folder, "dir"), { recursive: true });
    await Deno.writeTextFile(join(folder, "index.html"), "home");
    await Deno.writeTextFile(join(folder, "dir/a b.js"), "code");
    await Deno.writeTextFile(join(folder, ".secret"), "secret");
    await Deno.writeTextFile(join(root, "secret"), "secret");
    const convexPackage = { version: "1.0.0", folder: join(root, "package"), isEmbedded: false };
    await Deno.mkdir(join(root, "package/dist"), { recursive: true });
    await Deno.writeTextFile(join(root, "package/dist/browser.bundle.js"), "client");
    const serve = staticFiles({ path: root, convexPackage });
    await test((target, method = "GET") =>
      serve(new Request("http://localhost/", { method }), target)
    );
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("staticFiles serves files with their type, and index.html for a folder", () =>
  withFiles(async (get) => {
    const home = await get("/?x=1");
    assert.equal(await home?.text(), "home");
    assert.equal(home?.headers.get("content-type"), "text/html; charset=utf-8");
    const code = await get("/dir/a%20b.js", "HEAD");
    assert.equal(code?.headers.get("content-type"), "text/javascript; charset=utf-8");
  }));

Deno.test("staticFiles serves the browser client of the app's package", () =>
  withFiles(async (get) => {
    assert.equal(await (await get("/_hull/convex.js"))?.text(), "client");
  }));

Deno.test("staticFiles answers nothing for what is no file, not public or not a GET", () =>
  withFiles(async (get) => {
    const targets = [
      "/none",
      "/dir",
      "/dir/",
      "/index.html/more",
      "/../secret",
      "/%2e%2e/secret",
      "/..%2fsecret",
      "/..%5csecret",
      "/.secret",
      "/%00",
      "/%",
    ];
    for (const target of targets) assert.equal(await get(target), undefined, target);
    assert.equal(await get("/", "POST"), undefined);
  }));
