/** The files example in a real browser: uploads, pictures and deletions on two pages. */
import assert from "node:assert/strict";
import type { Browser, Page } from "playwright-core";
import { copyApp } from "../support/apps.ts";
import { ServerProcess } from "../support/server_process.ts";
import { browserTest } from "./chromium.ts";

browserTest(
  "http-api 94, semantics 113, 114: two pages see uploaded files, and deleted ones go from both",
  async (browser) => {
    const app = await copyApp("examples/files");
    await using server = await ServerProcess.start({ command: "dev", app });
    await server.firstLine(/Functions ready/);
    const errors: string[] = [];
    const ada = await openFiles(browser, server.url, errors);
    const grace = await openFiles(browser, server.url, errors);
    await ada.getByText("Nothing is stored yet.").waitFor();

    const picture = await ada.screenshot({ clip: { x: 40, y: 0, width: 300, height: 200 } });
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    await ada.route("**/api/storage/upload*", async (route) => {
      await held;
      await route.continue();
    });
    await ada.getByLabel("Choose files").setInputFiles({
      name: "page.png",
      mimeType: "image/png",
      buffer: picture,
    });
    const progress = ada.getByRole("progressbar", { name: "Uploading page.png" });
    await progress.waitFor();
    const screenshots = await Deno.makeTempDir({ prefix: "hull-screenshots-" });
    console.log(`screenshots in ${screenshots}`);
    await ada.screenshot({ path: `${screenshots}/1-uploading.png` });
    release();
    await progress.waitFor({ state: "detached" });
    for (const page of [ada, grace]) {
      await file(page, "page.png").getByText("image/png · ").waitFor();
      await file(page, "page.png").locator("img").evaluate((image) =>
        (image as unknown as { decode(): Promise<void> }).decode()
      );
    }
    const url = await file(grace, "page.png").locator("img").getAttribute(
      "src",
    );
    const stored = await fetch(url!);
    assert.equal(stored.headers.get("content-type"), "image/png");
    assert.deepEqual(
      new Uint8Array(await stored.arrayBuffer()),
      new Uint8Array(picture),
    );

    await drop(grace, "notes.txt", "hello");
    await file(ada, "notes.txt").getByText("text/plain · 5 bytes").waitFor();
    const downloading = ada.waitForEvent("download");
    await ada.getByRole("link", { name: "Download notes.txt" }).click();
    const download = await downloading;
    assert.equal(download.suggestedFilename(), "notes.txt");
    assert.equal(await Deno.readTextFile(await download.path()), "hello");

    await ada.screenshot({ path: `${screenshots}/2-files.png` });
    await ada.emulateMedia({ colorScheme: "dark" });
    await ada.setViewportSize({ width: 390, height: 700 });
    await ada.screenshot({ path: `${screenshots}/3-dark-phone.png` });

    await ada.getByRole("button", { name: "Delete page.png" }).click();
    for (const page of [ada, grace]) {
      await file(page, "page.png").waitFor({ state: "detached" });
      assert.equal(await page.locator("#files li").count(), 1);
    }
    const gone = await fetch(url!);
    assert.equal(gone.status, 404);
    assert.equal((await gone.json()).code, "FileNotFound");

    assert.deepEqual(errors, []);
    // An upload that fails says which file it was.
    await grace.route("**/api/storage/upload*", (route) => route.abort());
    await drop(grace, "lost.txt", "hello");
    await grace.getByRole("alert").getByText("lost.txt was not uploaded")
      .waitFor();
    assert.equal(await grace.locator("#uploads li").count(), 0);
    await Deno.remove(app, { recursive: true });
  },
);

/** A page in a profile of its own, as another person's browser. */
async function openFiles(
  browser: Browser,
  url: string,
  errors: string[],
): Promise<Page> {
  const context = await browser.newContext({
    viewport: { width: 900, height: 640 },
  });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (line) => {
    if (line.type() === "error") errors.push(line.text());
  });
  await page.goto(url);
  return page;
}

function file(page: Page, name: string) {
  return page.locator("#files li", { hasText: name });
}

async function drop(page: Page, name: string, text: string): Promise<void> {
  // Written as text: the types of the page's globals are not those of this test.
  const dataTransfer = await page.evaluateHandle(`(() => {
    const transfer = new DataTransfer();
    const [text, name] = ${JSON.stringify([text, name])};
    transfer.items.add(new File([text], name, { type: "text/plain" }));
    return transfer;
  })()`);
  await page.dispatchEvent("#drop", "drop", { dataTransfer });
}
