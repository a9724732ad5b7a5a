import assert from "node:assert/strict";
import { join } from "node:path";
import { systemEnvironment } from "../src/environment.ts";
import { AppWatcher } from "./watch.ts";

interface Watched {
  readonly root: string;
  readonly watcher: AppWatcher;
  write(path: string): Promise<void>;
}

async function withWatcher(test: (watched: Watched) => Promise<void>): Promise<void> {
  const root = await Deno.realPath(await Deno.makeTempDir({ prefix: "hull-watch-" }));
  for (const folder of ["convex/_generated", "convex/dir", "shared"]) {
    await Deno.mkdir(join(root, folder), { recursive: true });
  }
  const watcher = new AppWatcher(join(root, "convex"), systemEnvironment);
  try {
    await test({ root, watcher, write: (path) => Deno.writeTextFile(join(root, path), "x") });
  } finally {
    watcher.close();
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("AppWatcher tells of files that are written, removed and renamed", () =>
  withWatcher(async ({ root, watcher, write }) => {
    await write("convex/dir/a.ts");
    await watcher.changed();
    await Deno.rename(join(root, "convex/dir/a.ts"), join(root, "convex/b.ts"));
    await watcher.changed();
    await Deno.remove(join(root, "convex/b.ts"));
    await watcher.changed();
  }));

Deno.test("AppWatcher tells once of many files, and of nothing that does not count", () =>
  withWatcher(async ({ watcher, write }) => {
    for (const name of ["a.ts", "b.ts", "dir/c.ts"]) await write(`convex/${name}`);
    await watcher.changed();
    const again = watcher.changed().then(() => "changed");
    for (const name of ["_generated/api.js", ".a.ts.swp", "#a.ts#", "a.ts~"]) {
      await write(`convex/${name}`);
    }
    await write("shared/other.ts");
    const quiet = new Promise((resolve) => setTimeout(resolve, 300, "quiet"));
    assert.equal(await Promise.race([again, quiet]), "quiet");
    await write("convex/a.ts");
    await again;
  }));

Deno.test("AppWatcher follows imported files that lie elsewhere", () =>
  withWatcher(async ({ root, watcher, write }) => {
    await write("shared/code.ts");
    watcher.setOtherFiles([join(root, "shared/code.ts"), join(root, "node_modules/p/index.js")]);
    await write("shared/code.ts");
    await watcher.changed();
    watcher.setOtherFiles([join(root, "convex.json")]);
    await write("convex.json");
    await watcher.changed();
  }));
