/**
 * A page with `convex/react`, built by Vite, in a real browser: every hook, through connections that break and a server
 * that is stopped and started again. Screenshots go to the folder that the test prints.
 */
import assert from "node:assert/strict";
import type { ConvexHttpClient } from "convex/browser";
import type { Browser, Page } from "playwright-core";
import { api } from "../support/api.ts";
import { startFlakyProxy } from "../support/flaky_proxy.ts";
import { seededRandom } from "../support/random.ts";
import { RestartingServer } from "../support/restarting_server.ts";
import { browserTest, openPage, shows } from "./chromium.ts";
import { Site } from "./site.ts";

const breaksMax = 2;

browserTest(
  "sync-protocol 49, rule 70: React's hooks show one state, through breaks and a restart",
  async (browser) => {
    const random = seededRandom();
    const screenshots = await Deno.makeTempDir({ prefix: "hull-screenshots-" });
    console.log(`seed ${random.seed}, screenshots in ${screenshots}`);
    await using server = await RestartingServer.start("tests/fixtures/workshop");
    const proxy = await startFlakyProxy(server.url, {
      random,
      bytesMax: 100_000,
      breaksMax,
      delayMsMax: 5,
    });
    await using site = await Site.build("react", proxy.url);
    const http = server.clients.http();
    await http.mutation(api.notes.insertMany, {
      notes: Array.from({ length: 12 }, () => ({ n: random.integer(100) })),
    });

    for (let n = 0; n < 2; n++) await http.mutation(api.counters.increment, { name: "steering" });

    const { page, errors } = await openPage(browser, site.url);
    await shows(page, "connection", "connected");
    await shows(page, "user", "signed out");
    await readsAndCalls(page, http);
    await page.screenshot({ path: `${screenshots}/1-first.png`, fullPage: true });
    await pagesGrowAndShrink(page, http);
    await pagesBeginAgain(page, http);
    await listsStayWhole(page, http, () => proxy.broken === breaksMax);
    await page.screenshot({ path: `${screenshots}/2-changed.png`, fullPage: true });

    await server.stop();
    await shows(page, "connection", "disconnected");
    for (let clicks = 0; clicks < 3; clicks++) await page.locator("#increment").click();
    await shows(page, "value", "4");
    await page.screenshot({ path: `${screenshots}/3-server-away.png`, fullPage: true });
    await server.startAgain();
    await shows(page, "connection", "connected");
    await http.mutation(api.counters.increment, { name: "react" });
    await shows(page, "requests", "answered");
    await shows(page, "value", "5");
    assert.equal(await http.query(api.counters.read, { name: "react" }), 5, "applied once");
    assert.deepEqual(errors, []);

    await refusesTokens(browser, site.url);
    await proxy.close();
  },
);

async function readsAndCalls(page: Page, http: ConvexHttpClient): Promise<void> {
  await shows(page, "value", "0");
  await page.locator("#increment").click();
  await shows(page, "value", "1");
  await page.locator("#fail").click();
  await page.locator("#problem", { hasText: "Server Error" }).waitFor();
  await shows(page, "value", "1");

  await page.locator("#wake").click();
  await shows(page, "said", "awake");

  await shows(page, "several", "1, failed");
  await shows(page, "greeting", "nothing");
  await page.locator("#ask").click();
  await shows(page, "greeting", "hello");
  await page.locator("#ask").click();
  await shows(page, "greeting", "nothing");

  await shows(page, "mood", "0");
  await http.mutation(api.counters.increment, { name: "mood" });
  await page.locator("#caught", { hasText: '{"odd":1}' }).waitFor();
  await http.mutation(api.counters.increment, { name: "mood" });
  await page.locator("#retry").click();
  await shows(page, "mood", "2");
}

async function pagesGrowAndShrink(page: Page, http: ConvexHttpClient): Promise<void> {
  await shows(page, "length", "5");
  await page.locator("#more").click();
  await shows(page, "length", "10");
  // All of these come before the first page's end.
  const insert = Array.from({ length: 8 }, (_, i) => -1 - i);
  await http.mutation(api.pages.change, { insert, remove: [], move: [] });
  await shows(page, "length", "18");
  await http.mutation(api.pages.change, { insert: [], remove: insert.map((_, i) => i), move: [] });
  await shows(page, "length", "10");
  await page.locator("#more").click();
  await shows(page, "status", "Exhausted");
  await shows(page, "length", "12");
  await page.locator("#turn").click();
  await shows(page, "status", "CanLoadMore");
  await page.locator("#more").click();
  await shows(page, "length", "10");
}

/** Cursors that became invalid are thrown away, also when the server keeps the texts of errors to itself. */
async function pagesBeginAgain(page: Page, http: ConvexHttpClient): Promise<void> {
  const notes: { n: number }[] = await http.query(api.pages.whole, {});
  const shown = (notes: { n: number }[]) =>
    `CanLoadMore: ${notes.slice(0, 3).map(({ n }) => n).join()}`;
  await shows(page, "turning", shown(notes));
  await http.mutation(api.counters.increment, { name: "steering" });
  await shows(page, "turning", shown(notes.toReversed()));
}

/** Others write until the page has seen enough states, none of which may have a hole or a duplicate. */
async function listsStayWhole(
  page: Page,
  http: ConvexHttpClient,
  isEnough: () => boolean,
): Promise<void> {
  const random = seededRandom();
  const several = <T>(make: () => T) => Array.from({ length: random.integer(3) }, make);
  // deno-lint-ignore no-explicit-any -- what the page keeps for this test
  const seen = () => page.evaluate(() => (globalThis as any).comparisons as number);
  const before = await seen();
  while (!isEnough() || await seen() < before + 30) {
    await http.mutation(api.pages.change, {
      insert: several(() => random.integer(100)),
      remove: several(() => random.integer(1000)),
      move: several(() => ({ place: random.integer(1000), n: random.integer(100) })),
    });
  }
  const status = page.locator("#status");
  while (await status.textContent() !== "Exhausted") await page.locator("#more").click();
  const whole: { n: number }[] = await http.query(api.pages.whole, { order: "desc" });
  await shows(page, "length", String(whole.length));
  assert.deepEqual(
    await page.locator("#notes li").allTextContents(),
    whole.map(({ n }) => String(n)),
  );
  // deno-lint-ignore no-explicit-any -- what the page keeps for this test
  assert.deepEqual(await page.evaluate(() => (globalThis as any).mismatches), []);
}

/** Whoever comes with a token that no provider vouches for is nobody, and goes on as such. */
async function refusesTokens(browser: Browser, url: string): Promise<void> {
  const part = (json: unknown) => btoa(JSON.stringify(json)).replaceAll("=", "");
  const claims = { iss: "https://nobody.example", sub: "1", aud: "none", iat: 1, exp: 4e9 };
  const token = `${part({ alg: "RS256", typ: "JWT" })}.${part(claims)}.AAAA`;
  const { page } = await openPage(browser, `${url}?token=${token}`);
  await shows(page, "user", "signed out");
  // deno-lint-ignore no-explicit-any -- what the page keeps for this test
  const requests = await page.evaluate(() => (globalThis as any).tokenRequests);
  assert.ok(requests.includes("another"), "the client was not told that its token is refused");
  await shows(page, "value", "5");
  await page.locator("#increment").click();
  await shows(page, "value", "6");
}
