/** Exports as administrators steer them over HTTP. */
import assert from "node:assert/strict";
import { ApiClient, ApiError } from "../../cli/api_client.ts";
import { ServerProcess } from "../support/server_process.ts";
import { eventually } from "../support/waiting.ts";

const rounds = 20;

interface Export {
  readonly _id: string;
  readonly state: string;
}

Deno.test("deploy-protocol §9: a canceled export stays canceled, whenever that was, and another may begin at once", async () => {
  await using server = await ServerProcess.start();
  const client = new ApiClient(server.url, server.adminKey);
  const latest = () => client.query("_system/cli/exports:getLatest", {}) as Promise<Export>;
  const request = () => client.post("/api/export/request/zip?includeStorage=true", {});
  const stateOf = async (id: string) => {
    try {
      const { body } = await client.download(`/api/export/zip/${id}`);
      await Array.fromAsync(body);
      return "completed";
    } catch (error) {
      assert(error instanceof ApiError);
      assert.equal(error.code, "ExportNotCompleted");
      return "canceled";
    }
  };
  const ended: [id: string, state: string][] = [];
  for (let round = 0; round < rounds; round++) {
    await request();
    const { _id } = await latest();
    // Each round cancels a little later.
    for (let step = 0; step < round % 5; step++) await client.get("/api/check_admin_key");
    const state = await client.post(`/api/export/cancel/${_id}`, {}).then(
      () => "canceled",
      (error: ApiError) => {
        assert.equal(error.code, "ExportNotInProgress");
        return "completed";
      },
    );
    ended.push([_id, state]);
  }
  await request();
  await eventually(
    async () => (await latest()).state === "completed" || undefined,
    "the last export",
  );
  for (const [id, state] of ended) assert.equal(await stateOf(id), state);
  assert(ended.some(([, state]) => state === "canceled"));
});
