/** The pages of docs/clients.md, built by Vite, in a real browser. */
import { browserTest, openPage } from "../browser/chromium.ts";
import { Site } from "../browser/site.ts";
import { makeApp } from "../support/apps.ts";
import { ServerProcess } from "../support/server_process.ts";
import { root } from "../support/source_files.ts";
import { blocksOf } from "./markdown.ts";

const page = "docs/clients.md";
const packages = [
  "convex",
  "convex-svelte",
  "convex-vue",
  "react",
  "react-dom",
  "svelte",
  "vue",
];
const frameworks = [
  { name: "React", folder: "react", entry: "main.tsx" },
  { name: "Svelte", folder: "svelte", entry: "main.js" },
  { name: "Vue", folder: "vue", entry: "main.js" },
] as const;

browserTest(`${page}: pages made with React, Svelte and Vue send and show`, async (browser) => {
  const blocks = blocksOf(page, Deno.readTextFileSync(root + page));
  const files = Object.fromEntries(
    blocks.filter(({ path }) => path !== "").map(({ path, text }) => [path, text]),
  );
  for (const { name, folder, entry } of frameworks) {
    files[`${folder}/index.html`] = `<!doctype html><title>${name}</title><main id="root"></main>
<script type="module" src="./${entry}"></script>`;
  }
  // Every Svelte app has this file; it says nothing about Hull.
  files["svelte/main.js"] = `import { mount } from "svelte";
import App from "./App.svelte";
mount(App, { target: document.getElementById("root") });`;
  const app = await makeApp({ packages, files });
  try {
    await using server = await ServerProcess.start({ command: "dev", app });
    await server.firstLine(/Functions ready/);
    for (const path of Object.keys(files).filter((path) => /^(react|svelte|vue)\//.test(path))) {
      const text = files[path]!.replaceAll("http://127.0.0.1:3210", server.url);
      await Deno.writeTextFile(`${app}/${path}`, text);
    }
    for (const { name, folder } of frameworks) {
      await using site = await Site.build(folder, server.url, `${app}/`);
      const { page } = await openPage(browser, site.url);
      await page.getByRole("button", { name: "Send" }).click();
      await page.getByText(`Hello from ${name}`).waitFor();
      await page.close();
    }
  } finally {
    await Deno.remove(app, { recursive: true });
  }
});
