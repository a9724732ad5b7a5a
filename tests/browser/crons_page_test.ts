/** The crons example in a real browser: what jobs do appears by itself. */
import assert from "node:assert/strict";
import { copyApp } from "../support/apps.ts";
import { ServerProcess } from "../support/server_process.ts";
import { browserTest } from "./chromium.ts";

browserTest(
  "semantics 90, 105: the page shows runs of cron jobs, and reminders that are due or canceled",
  async (browser) => {
    const app = await copyApp("examples/crons");
    await using server = await ServerProcess.start({ command: "dev", app });
    await server.firstLine(/Functions ready/);
    const errors: string[] = [];
    const page = await browser.newPage();
    page.on("pageerror", (error) => errors.push(error.message));
    await page.goto(server.url);
    const beats = page.locator("#beats li", { hasText: "heartbeat" });
    await beats.nth(1).waitFor();

    const remind = async (text: string, seconds: string) => {
      await page.getByLabel("Remind me of").fill(text);
      await page.locator("#seconds").fill(seconds);
      await page.getByRole("button", { name: "Schedule" }).click();
    };
    const reminder = (text: string) => page.locator("#reminders li", { hasText: text });
    await remind("water the plants", "1");
    await reminder("water the plants").getByText("reminded").waitFor();
    await remind("call off", "3600");
    await reminder("call off").getByText("due at").waitFor();
    await reminder("call off").getByRole("button", { name: "Cancel" }).click();
    await reminder("call off").getByText("canceled").waitFor();
    await remind(" ", "1");
    await page.getByText("A reminder needs a text").waitFor();
    assert.equal(await page.locator("#reminders li").count(), 2);

    const screenshots = await Deno.makeTempDir({ prefix: "hull-screenshots-" });
    console.log(`screenshots in ${screenshots}`);
    await page.screenshot({ path: `${screenshots}/crons.png` });
    await page.setViewportSize({ width: 390, height: 700 });
    await page.screenshot({ path: `${screenshots}/crons-phone.png` });
    assert.deepEqual(errors, []);
    await page.close();
    await Deno.remove(app, { recursive: true });
  },
);
