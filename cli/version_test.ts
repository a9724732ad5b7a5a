import assert from "node:assert/strict";
import { version } from "./version.ts";

Deno.test("version is that of deno.json", async () => {
  const metadata = JSON.parse(await Deno.readTextFile(new URL("../deno.json", import.meta.url)));
  assert.equal(version, metadata.version);
});
