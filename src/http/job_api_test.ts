import assert from "node:assert/strict";
import { type ApiListener, asAdmin, listenWith } from "../../tests/support/api_listener.ts";
import { DeveloperError } from "../errors.ts";
import { jobApi } from "./job_api.ts";

const post = (server: ApiListener, path: string, body: unknown, headers = asAdmin) =>
  fetch(`${server.url}/api/${path}`, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json", ...headers },
  });

Deno.test("dashboard-api 3: administrators cancel one job, or all of a function and time", async () => {
  const calls: unknown[] = [];
  await using server = listenWith(jobApi({
    cancel: async (id, component) => {
      if (id === "x") throw new DeveloperError("InvalidScheduledFunctionId", "Invalid");
      calls.push([id, component]);
    },
    cancelAll: async (selection) => void calls.push(selection),
  }));
  assert.equal((await post(server, "cancel_job", { id: "j", componentId: null })).status, 200);
  assert.equal((await post(server, "cancel_all_jobs", {})).status, 200);
  const ofComponent = { id: "j", componentId: "c" };
  assert.equal((await post(server, "cancel_job", ofComponent)).status, 200);
  const some = {
    udfPath: "m:f",
    componentPath: "p/q",
    componentId: "c",
    startNextTs: 1e15,
    endNextTs: 2e15,
  };
  assert.equal((await post(server, "cancel_all_jobs", some)).status, 200);
  assert.deepEqual(calls, [
    ["j", ""],
    { component: "" },
    ["j", "c"],
    { component: "c", path: "m:f", componentPath: "p/q", fromMs: 1e9, untilMs: 2e9 },
  ]);

  const codeOf = async (path: string, body: unknown, headers = asAdmin) => {
    const response = await post(server, path, body, headers);
    return [response.status, (await response.json()).code];
  };
  assert.deepEqual(await codeOf("cancel_job", { id: "x" }), [400, "InvalidScheduledFunctionId"]);
  assert.deepEqual(await codeOf("cancel_job", {}), [400, "BadJsonBody"]);
  const [status] = await codeOf("cancel_all_jobs", {}, {} as typeof asAdmin);
  assert.ok(status === 401 || status === 403, String(status));
  assert.equal(calls.length, 4);
});
