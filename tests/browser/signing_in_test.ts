/** A page with `ConvexProviderWithAuth` in a real browser: users come, stay while their tokens are refreshed, and go. */
import assert from "node:assert/strict";
import { copyApp } from "../support/apps.ts";
import { IdentityProvider } from "../support/identity_provider.ts";
import { ServerProcess } from "../support/server_process.ts";
import { within } from "../support/waiting.ts";
import { browserTest, openPage, shows } from "./chromium.ts";
import { Site } from "./site.ts";

/** Serves tokens at `/tokens/<name>` that are refreshed after a second; mallory's are for somebody else. */
class TokenServer {
  readonly provider: IdentityProvider;
  #fetched = 0;
  #enough = { count: Infinity, reached: Promise.withResolvers<void>() };

  constructor(provider: IdentityProvider) {
    this.provider = provider;
    provider.instead = async (path) => {
      const name = /^\/tokens\/(\w+)$/.exec(path)?.[1];
      if (name === undefined) return undefined;
      if (++this.#fetched >= this.#enough.count) this.#enough.reached.resolve();
      // Clients fetch another one 10 s before the end.
      const claims = { exp: Math.floor(Date.now() / 1000) + 11, jti: crypto.randomUUID() };
      const token = await provider.token(name, name === "mallory" ? "else" : "my-app", claims);
      return new Response(token, { headers: { "access-control-allow-origin": "*" } });
    };
  }

  /** Resolves when so many more tokens have been fetched. */
  async fetches(count: number): Promise<void> {
    this.#enough = { count: this.#fetched + count, reached: Promise.withResolvers() };
    await within(this.#enough.reached.promise, 20_000, `${count} tokens to be fetched`);
  }
}

browserTest(
  "sync-protocol rule 94: React's users sign in, stay signed in, change, and sign out",
  async (browser) => {
    await using provider = await IdentityProvider.start("RS256");
    const tokens = new TokenServer(provider);
    const config = { providers: [{ domain: provider.issuer, applicationID: "my-app" }] };
    const app = await copyApp("tests/fixtures/signin", {
      packages: ["jose"],
      files: { "convex/auth.config.ts": `export default ${JSON.stringify(config)};` },
    });
    const dataFolder = await Deno.makeTempDir({ prefix: "hull-data-" });
    const first = await ServerProcess.start({ dataFolder });
    await first.deploy(app);
    await Deno.remove(app, { recursive: true });
    await using site = await Site.build("signin", first.url);

    const { page, errors } = await openPage(browser, `${site.url}?provider=${provider.issuer}`);
    await shows(page, "session", "signed out");
    await shows(page, "user", "nobody");
    await page.locator("#ada").click();
    await shows(page, "session", "signed in");
    await shows(page, "user", "ada");
    await page.locator("#see").click();
    await shows(page, "seen", "ada");

    await tokens.fetches(3);
    await shows(page, "user", "ada");
    const changes = () =>
      page.evaluate(() => {
        // deno-lint-ignore no-explicit-any -- what the page keeps for this test
        const { stamp, own } = (globalThis as any).changes;
        return { stamp: stamp.size, own: [...own].map((text) => text.split(" ")[0]) };
      });
    assert.deepEqual(await changes(), { stamp: 1, own: ["undefined", "ada"] });

    await page.locator("#bob").click();
    await shows(page, "user", "bob");
    await shows(page, "session", "signed in");
    await first.stop();
    const port = Number(new URL(first.url).port);
    await using _second = await ServerProcess.start({ dataFolder, port });
    await tokens.fetches(1);
    await page.locator("#see").click();
    await shows(page, "seen", "bob");

    await page.locator("#leave").click();
    await shows(page, "session", "signed out");
    await shows(page, "user", "nobody");
    await page.locator("#mallory").click();
    await tokens.fetches(2);
    await shows(page, "session", "signed out");
    await shows(page, "user", "nobody");
    await page.locator("#ada").click();
    await shows(page, "session", "signed in");
    await shows(page, "user", "ada");
    assert.deepEqual(errors, []);
  },
);
