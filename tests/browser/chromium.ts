/** A real browser for tests: Debian's Chromium, driven by playwright-core. */
import { type Browser, chromium } from "playwright-core";

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
