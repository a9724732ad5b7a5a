/** The page that `hull init` makes, served by `hull dev`, in a real browser. */
import assert from "node:assert/strict";
import { runCommand, ServerProcess } from "../support/server_process.ts";
import { browserTest, openPage } from "./chromium.ts";

browserTest(
  "the page of hull init works, and follows other pages and saved functions",
  async (browser) => {
    const app = await Deno.makeTempDir({ prefix: "hull-init-" });
    assert.equal((await runCommand(["init", app])).code, 0);
    await using server = await ServerProcess.start({ command: "dev", app });
    await server.firstLine(/Functions ready/);
    const { page, errors } = await openPage(browser, server.url);
    const other = await openPage(browser, server.url);

    await page.getByLabel("New task").fill("Water the plants");
    await page.getByRole("button", { name: "Add" }).click();
    await other.page.getByLabel("Water the plants").check();
    await page.locator("label:has(:checked)", { hasText: "Water the plants" }).waitFor();
    assert.equal(await page.getByLabel("New task").inputValue(), "");

    await page.getByRole("button", { name: "Add" }).click();
    await page.getByRole("alert").getByText("A task needs some words").waitFor();

    const path = `${app}/convex/tasks.ts`;
    const source = await Deno.readTextFile(path);
    await Deno.writeTextFile(path, source.replace(".take(100)", ".take(0)"));
    await page.getByLabel("Water the plants").waitFor({ state: "detached" });
    await Deno.writeTextFile(path, source);
    await page.getByLabel("Water the plants").waitFor();
    await page.getByRole("button", { name: "Remove what is done" }).click();
    await other.page.getByLabel("Water the plants").waitFor({ state: "detached" });
    assert.deepEqual([errors, other.errors], [[], []]);
    await Deno.remove(app, { recursive: true });
  },
);
