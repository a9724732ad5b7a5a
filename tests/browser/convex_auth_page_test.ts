/** A page with `ConvexAuthProvider` in a real browser, on a production server that verifies its own app's tokens. */
import assert from "node:assert/strict";
import { setVariables } from "../support/app_server.ts";
import { copyApp } from "../support/apps.ts";
import { convexAuthSetup } from "../support/convex_auth.ts";
import { installedPackages } from "../support/installed_packages.ts";
import { ServerProcess } from "../support/server_process.ts";
import { browserTest, openPage, shows } from "./chromium.ts";
import { Site } from "./site.ts";

const fixture = "tests/fixtures/auth_packages";

/** A copy of a folder of the fixture, with its packages. */
async function withPackages(folder: string): Promise<string> {
  const copy = await copyApp(`${fixture}/${folder}`);
  await Deno.symlink(await installedPackages(fixture), `${copy}/node_modules`);
  return copy;
}

browserTest(
  "components §13: React's users of @convex-dev/auth sign up, stay signed in, and sign out",
  async (browser) => {
    const [app, web] = [await withPackages("convex_auth"), await withPackages("web")];
    await using server = await ServerProcess.start();
    await setVariables(server, (await convexAuthSetup()).variables);
    await server.deploy(app);
    await using site = await Site.build("react", server.url, `${web}/`);
    await Promise.all([app, web].map((folder) => Deno.remove(folder, { recursive: true })));

    const { page, errors } = await openPage(browser, site.url);
    await shows(page, "session", "signed out");
    await shows(page, "user", "nobody");
    await page.locator("#wrong").click();
    await shows(page, "problem", "refused");
    await page.locator("#up").click();
    await shows(page, "session", "signed in");
    await shows(page, "user", "Ada");
    await page.locator("#add").click();
    await shows(page, "notes", "a note");
    const visitor = await page.locator("#visitor").textContent();
    assert.match(visitor!, /^[\da-f-]{36}$/);

    // What the page has kept signs in again; the token comes from the refresh token.
    await page.reload();
    await shows(page, "user", "Ada");
    await shows(page, "notes", "a note");
    await shows(page, "visitor", visitor!);

    await page.locator("#leave").click();
    await shows(page, "session", "signed out");
    await shows(page, "user", "nobody");
    await page.locator("#in").click();
    await shows(page, "user", "Ada");
    assert.deepEqual(errors, []);
  },
);
