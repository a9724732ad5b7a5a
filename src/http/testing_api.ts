/** What a test may do to its server; endpoints that only a test server has, for administrators. */
import { z } from "zod";
import { parseJsonBody } from "./json_body.ts";
import { json } from "./responses.ts";
import type { TestingHandlers } from "./routes.ts";

/** `TestControl` of src/testing/ is the implementation. */
export interface TestServerControl {
  readonly nowMs: number;
  setClock(nowMs: number): Promise<void>;
  advance(ms: number): Promise<void>;
  runScheduled(): Promise<void>;
  clear(): Promise<void>;
}

/** The largest time of `Date`, in milliseconds. */
const timeMax = 8.64e15;
const clockBody = z.union([
  z.strictObject({ nowMs: z.number().min(0).max(timeMax) }),
  z.strictObject({ advanceMs: z.number().min(0).max(timeMax) }),
]);

export function testingApi(control: TestServerControl) {
  const clock = () => json({ nowMs: control.nowMs });
  return {
    async testClock(request) {
      await request.requireAdmin();
      return clock();
    },

    async moveTestClock(request) {
      await request.requireAdmin();
      const body = await parseJsonBody(clockBody, request);
      if ("nowMs" in body) await control.setClock(body.nowMs);
      else await control.advance(body.advanceMs);
      return clock();
    },

    async runScheduledFunctions(request) {
      await request.requireAdmin();
      await control.runScheduled();
      return clock();
    },

    async clearTestServer(request) {
      await request.requireAdmin();
      await control.clear();
      return clock();
    },
  } satisfies TestingHandlers;
}
