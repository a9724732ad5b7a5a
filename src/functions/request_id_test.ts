import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { systemEnvironment } from "../environment.ts";
import { RequestIds, sessionRequestId } from "./request_id.ts";

Deno.test("sync-protocol 60: a session's request id is the same whenever it is made", () => {
  const digest = createHash("sha256").update("5f3c|7").digest("hex");
  assert.equal(sessionRequestId("5f3c", 7), digest.slice(0, 16));
});

Deno.test("http-api 14: random ids are 16 lower-case hex digits and differ", () => {
  const ids = new RequestIds(systemEnvironment);
  const made = Array.from({ length: 2000 }, () => ids.requestId());
  assert.ok(made.every((id) => /^[0-9a-f]{16}$/.test(id)));
  assert.equal(new Set(made).size, made.length);
  assert.match(ids.seed(), /^[0-9a-f]{64}$/);
});
