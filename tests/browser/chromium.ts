/** A real browser for tests: Debian's Chromium, driven by playwright-core. */
import { type Browser, chromium, type Page } from "playwright-core";

/** Where the browser is, or undefined if there is none; `CHROMIUM_PATH` names another one. */
export function chromiumPath(): string | undefined {
  const path = Deno.env.get("CHROMIUM_PATH") ?? "/usr/bin/chromium";
  try {
    Deno.statSync(path);
    return path;
  } catch {
    return undefined;
  }
}

/** Registers a test that needs the browser; without one it is skipped, aloud. */
export function browserTest(name: string, body: (browser: Browser) => Promise<void>): void {
  const executablePath = chromiumPath();
  if (executablePath === undefined) {
    console.warn(`SKIPPED for want of Chromium (apt-get install chromium): ${name}`);
  }
  Deno.test({
    name,
    ignore: executablePath === undefined,
    // The driver keeps its pipes to the browser until it is collected.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const browser = await chromium.launch({
        executablePath: executablePath!,
        args: [
          "--no-sandbox",
          "--disable-gpu",
          "--disable-quic",
          "--no-first-run",
          "--disable-background-networking",
          "--disable-component-update",
          "--disable-sync",
        ],
      });
      try {
        await body(browser);
      } finally {
        await browser.close();
      }
    },
  });
}

/** A tab that gives up after 15 s, and the errors that were thrown in it and not caught. */
export async function openPage(
  browser: Browser,
  url: string,
): Promise<{ page: Page; errors: string[] }> {
  const page = await browser.newPage();
  const errors: string[] = [];
  page.setDefaultTimeout(15_000);
  page.on("pageerror", (error) => errors.push(error.message));
  await page.goto(url);
  return { page, errors };
}

/** Waits until the element with this id shows exactly this text. */
export async function shows(page: Page, id: string, text: string): Promise<void> {
  await page.locator(`#${id}`, { hasText: new RegExp(`^${RegExp.escape(text)}$`) }).waitFor()
    .catch(async (error) => {
      const shown = await page.locator(`#${id}`).allTextContents();
      throw new Error(`#${id} does not come to show "${text}" but ${JSON.stringify(shown)}`, {
        cause: error,
      });
    });
}
