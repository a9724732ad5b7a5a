/** Pages with the Svelte and Vue clients, built by Vite, in a real browser. Screenshots go to the folder that is printed. */
import assert from "node:assert/strict";
import { copyApp } from "../support/apps.ts";
import { api } from "../support/api.ts";
import { Clients } from "../support/clients.ts";
import { ServerProcess } from "../support/server_process.ts";
import { browserTest, openPage, shows } from "./chromium.ts";
import { Site } from "./site.ts";

browserTest("Svelte and Vue pages are live, send, and show errors", async (browser) => {
  const screenshots = await Deno.makeTempDir({ prefix: "hull-screenshots-" });
  console.log(`screenshots in ${screenshots}`);
  const app = await copyApp("tests/fixtures/workshop");
  await using server = await ServerProcess.start({ command: "dev", app });
  await server.firstLine(/Functions ready/);
  const http = new Clients(server).http();
  const notes = [1, 2, 3, 4].map((n) => ({ n }));
  await http.mutation(api.notes.insertMany, { notes });

  for (const name of ["svelte", "vue"] as const) {
    await using site = await Site.build(name, server.url);
    const { page, errors } = await openPage(browser, site.url);
    await shows(page, "value", "0");
    await page.locator("#increment").click();
    await shows(page, "value", "1");
    await http.mutation(api.counters.increment, { name });
    await shows(page, "value", "2");
    await page.locator("#other").click();
    await shows(page, "value", "0");
    await page.locator("#caught", { hasText: "plain error" }).waitFor();
    if (name === "svelte") {
      await shows(page, "notes", "123");
      await page.locator("#more").click();
      await shows(page, "notes", "1234");
      await http.mutation(api.pages.change, { insert: [0, 5], remove: [1], move: [] });
      await shows(page, "notes", "01345");
    }
    await page.screenshot({ path: `${screenshots}/${name}.png` });
    assert.deepEqual(errors, []);
    await page.close();
  }
  await Deno.remove(app, { recursive: true });
});
