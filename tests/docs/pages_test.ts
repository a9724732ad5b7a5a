/** README.md and docs/ do what they say: every block is run, or says why not. */
import assert from "node:assert/strict";
import { writeAppFile } from "../support/apps.ts";
import { ServerProcess } from "../support/server_process.ts";
import { root } from "../support/source_files.ts";
import { type Block, blocksOf } from "./markdown.ts";
import { PageSession } from "./page_session.ts";
import { pages } from "./pages.ts";

const runLanguages = ["sh", "console", "json"];
/** Files for other programs; `config_files_test.ts` looks at them. */
const configLanguages = ["ini", "nginx", "caddyfile", "dockerfile"];
/** With a path, these are files of the page's app. */
const fileLanguages = ["ts", "tsx", "js", "json", "svelte"];

/** A command that starts a server, which the page's other commands then talk to. */
const serverStart = /^(\$ )?(.* && )?(hull|npx -y deno@\S+ task( hull)?) (dev|serve)\b/m;
/** As an app's own tsconfig.json would have it. */
const typeCheck = {
  nodeModulesDir: "manual",
  unstable: ["sloppy-imports"],
  compilerOptions: {
    strict: true,
    jsx: "react-jsx",
    jsxImportSource: "react",
    lib: ["esnext", "dom", "dom.iterable", "dom.asynciterable", "deno.ns"],
  },
};
/** What the pages' code imports. Without TypeScript, pushes leave the types to the check of all pages at once. */
const packages = [
  "@types/react",
  "@types/react-dom",
  "@types/node",
  "convex",
  "convex-vue",
  "react",
  "react-dom",
  "vue",
];
/** Folder of all apps. */
const folder = await Deno.makeTempDir({ prefix: "hull-docs-" });
let server: ServerProcess | undefined;

Deno.test.beforeAll(async () => {
  await Deno.mkdir(`${folder}/node_modules/@types`, { recursive: true });
  for (const name of packages) {
    await Deno.symlink(await folderOf(name), `${folder}/node_modules/${name}`);
  }
  await writeAppFile(folder, "package.json", "{}\n");
  await writeAppFile(folder, "deno.json", JSON.stringify(typeCheck));
  await writeAppFile(folder, "empty/convex/empty.ts", "export {};\n");
  // `dev` tells clients all about errors; what it watches never changes.
  server = await ServerProcess.start({ command: "dev", app: `${folder}/empty` });
  await server.firstLine(/Functions ready/);
});
Deno.test.afterAll(async () => {
  await server?.stop();
  await Deno.remove(folder, { recursive: true });
});

for (const { path, markdown } of pages()) {
  const blocks = blocksOf(path, markdown);
  Deno.test(`${path}: each block is run, or says why not`, () => {
    const unknown = blocks.filter((block) => !block.notRun && !isRun(block));
    assert.deepEqual(unknown.map(({ line, language }) => `${path}:${line} ${language}`), []);
  });
  Deno.test(`${path} does what it says`, async () => {
    const startsServer = blocks.some(({ language, text, notRun }) =>
      !notRun && /^(sh|console)$/.test(language) && serverStart.test(text)
    );
    await using session = await PageSession.start(folder, path, startsServer ? undefined : server);
    for (const block of blocks.filter(({ notRun }) => !notRun)) await session.run(block);
    await session.push();
  });
}

Deno.test("the TypeScript of all pages is right", async () => {
  const check = new Deno.Command(Deno.execPath(), {
    args: ["check", "--quiet", "."],
    cwd: folder,
    env: { NO_COLOR: "1" },
  });
  const { code, stderr } = await check.output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
});

/** Of a package that the repository imports, or one of its imports does. */
async function folderOf(name: string): Promise<string> {
  const modules = `${root}node_modules`;
  return await Deno.realPath(`${modules}/${name}`).catch(() =>
    Deno.realPath(`${modules}/.deno/node_modules/${name}`)
  );
}

function isRun({ language, path }: Block): boolean {
  return language === "text" || runLanguages.includes(language) ||
    (path !== "" && [...fileLanguages, ...configLanguages].includes(language));
}
