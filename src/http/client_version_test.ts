import assert from "node:assert/strict";
import { isAtLeast, npmClient, parseClientVersion } from "./client_version.ts";

const version = (major: number, minor: number, patch: number, isPrerelease = false) => ({
  numbers: [major, minor, patch],
  isPrerelease,
});

Deno.test("sync-protocol rule 6: the longest suffix that is a version ends the client's name", () => {
  assert.deepEqual(parseClientVersion("npm-1.48.0"), { name: "npm", version: version(1, 48, 0) });
  assert.deepEqual(parseClientVersion("NPM-CLI-1.48.0-alpha.1"), {
    name: "npm-cli",
    version: version(1, 48, 0, true),
  });
  assert.deepEqual(parseClientVersion("my-tool-x"), { name: "my", version: null });
});

Deno.test("http-api rule 8: a header without a dash is malformed", () => {
  assert.throws(() => parseClientVersion("npm"), { code: "InvalidClientVersion" });
  assert.throws(() => npmClient("latest"), { code: "InvalidClientVersion" });
});

Deno.test("http-api rule 9: npm clients up to 0.19.1, or of an unknown version, are refused; others are not", () => {
  for (const header of ["npm-0.19.1", "npm-cli-0.1.0", "actions-0.19.0", "npm-beta"]) {
    assert.throws(() => parseClientVersion(header), { code: "ClientVersionUnsupported" }, header);
  }
  parseClientVersion("npm-0.19.2");
  parseClientVersion("python-0.1.0");
});

Deno.test("sync-protocol rule 9: isAtLeast sorts prereleases below their release", () => {
  assert.ok(isAtLeast(npmClient("1.28.0"), 1, 28, 0));
  assert.ok(isAtLeast(npmClient("2.0.0"), 1, 28, 0));
  assert.ok(!isAtLeast(npmClient("1.28.0-alpha.2"), 1, 28, 0));
  assert.ok(!isAtLeast(npmClient("1.27.9"), 1, 28, 0));
});
