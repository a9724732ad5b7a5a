/** The chat example in a real browser. Screenshots go to the folder that the test prints. */
import assert from "node:assert/strict";
import type { Browser, Page } from "playwright-core";
import { copyApp } from "../support/apps.ts";
import { ServerProcess } from "../support/server_process.ts";
import { browserTest } from "./chromium.ts";

browserTest("two pages see each other's messages and one sent with curl", async (browser) => {
  const app = await copyApp("examples/chat");
  await using server = await ServerProcess.start({ command: "dev", app });
  await server.firstLine(/Functions ready/);
  const screenshots = await Deno.makeTempDir({ prefix: "hull-screenshots-" });
  console.log(`screenshots in ${screenshots}`);

  const errors: string[] = [];
  const ada = await openChat(browser, server.url, "Ada", errors);
  const grace = await openChat(browser, server.url, "Grace", errors);
  await ada.getByText("Nobody has said anything yet.").waitFor();
  await ada.screenshot({ path: `${screenshots}/1-empty.png` });

  await say(ada, "Hello from Ada");
  await message(grace, "Hello from Ada").waitFor();
  await say(grace, "Hello from Grace");
  await message(ada, "Hello from Grace").waitFor();

  const sent = await fetch(`${server.url}/postMessage`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ author: "Curl", body: "Hello world" }),
  });
  await sent.body?.cancel();
  for (const page of [ada, grace]) {
    await message(page, "Sent via HTTP action: Hello world").waitFor();
    assert.deepEqual(await page.locator("#messages .text").allTextContents(), [
      "Hello from Ada",
      "Hello from Grace",
      "Sent via HTTP action: Hello world",
    ]);
    assert.equal(await page.locator("#connection").textContent(), "Connected");
  }
  await ada.screenshot({ path: `${screenshots}/2-messages.png` });

  await ada.getByRole("button", { name: "Count my words" }).click();
  await message(grace, "Ada has written 3 words so far.").waitFor();
  await ada.getByRole("button", { name: "Fingerprint" }).click();
  await ada.getByText("This conversation is").waitFor();

  await ada.reload();
  await message(ada, "Hello from Grace").waitFor();
  assert.equal(await ada.locator("#author").inputValue(), "Ada", "the name is remembered");
  await ada.setViewportSize({ width: 390, height: 700 });
  await ada.screenshot({ path: `${screenshots}/3-phone.png` });
  assert.deepEqual(errors, []);
  await Deno.remove(app, { recursive: true });
});

browserTest("an error of the function is shown, and the text is not lost", async (browser) => {
  const app = await copyApp("examples/chat");
  await using server = await ServerProcess.start({ command: "dev", app });
  await server.firstLine(/Functions ready/);
  const page = await openChat(browser, server.url, "Ada", []);
  await page.locator("#connection", { hasText: "Connected" }).waitFor();
  // A message of another kind than the schema allows can only come from a page that was tampered with.
  await page.evaluate(() => {
    // deno-lint-ignore no-explicit-any -- runs in the page
    (globalThis as any).document.getElementById("body").maxLength = 2_000_000;
  });
  await page.fill("#body", "x".repeat(1_100_000));
  await page.locator("#send").click();
  await page.getByRole("alert").waitFor();
  assert.equal((await page.inputValue("#body")).length, 1_100_000);
  await page.getByRole("button", { name: "Dismiss" }).click();
  assert.equal(await page.getByRole("alert").count(), 0);
  await Deno.remove(app, { recursive: true });
});

/** A page in a profile of its own, as another person's browser. */
async function openChat(
  browser: Browser,
  url: string,
  author: string,
  errors: string[],
): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 900, height: 640 } });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (line) => {
    if (line.type() === "error") errors.push(line.text());
  });
  await page.goto(url);
  await page.fill("#author", author);
  await page.locator("#author").blur();
  return page;
}

async function say(page: Page, text: string): Promise<void> {
  await page.fill("#body", text);
  await page.locator("#send").click();
}

function message(page: Page, text: string) {
  return page.locator("#messages .text", { hasText: text });
}
