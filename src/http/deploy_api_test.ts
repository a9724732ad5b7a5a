import assert from "node:assert/strict";
import { brotliCompressSync } from "node:zlib";
import {
  adminKey,
  type ApiListener,
  asAdmin,
  listenWith,
} from "../../tests/support/api_listener.ts";
import { deployApi } from "./deploy_api.ts";

const json = { "content-type": "application/json" };

/** A push service that answers with what it was given. */
function serving(): ApiListener {
  const echo = async (body: unknown) => ({ got: body });
  const push = {
    getConfigHashes: () => ({ moduleHashes: [] }),
    startPush: echo,
    evaluatePush: echo,
    evaluateSchema: echo,
    waitForSchema: echo,
    finishPush: echo,
    deleteComponent: async () => {},
  };
  return listenWith({ ...deployApi(push) }, {
    config: { pushBodyBytesMax: 200_000, requestBodyBytesMax: 1000 },
  });
}

async function post(
  server: ApiListener,
  path: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
) {
  const response = await fetch(`${server.url}/api/${path}`, {
    method: "POST",
    body,
    headers: { ...json, ...headers },
  });
  const answer = await response.json();
  return { status: response.status, answer, code: answer?.code };
}

const compressed = (text: string) => new Uint8Array(brotliCompressSync(text));
const brotli = { "content-encoding": "br" };

Deno.test("deploy-protocol 2.1: bodies arrive plain or compressed with brotli", async () => {
  await using server = serving();
  const text = '{"a":1}';
  const expected = { got: { a: 1 } };
  const plain = await post(server, "deploy2/start_push", text, asAdmin);
  assert.deepEqual([plain.status, plain.answer], [200, expected]);
  const small = await post(server, "deploy2/start_push", compressed(text), {
    ...asAdmin,
    ...brotli,
  });
  assert.deepEqual(small.answer, expected);
  const large = { text: "x".repeat(150_000) };
  const big = await post(
    server,
    "deploy2/finish_push",
    compressed(JSON.stringify(large)),
    { ...asAdmin, ...brotli },
  );
  assert.deepEqual(big.answer, { got: large });
});

Deno.test("deploy-protocol 2.3: bodies that are too large or garbled are the developer's mistake: 400", async () => {
  await using server = serving();
  const refused = async (body: string | Uint8Array<ArrayBuffer>, headers = {}) => {
    const { status, code } = await post(server, "deploy2/start_push", body, {
      ...asAdmin,
      ...headers,
    });
    assert.deepEqual([status, code], [400, "BadJsonBody"]);
  };
  await refused("x".repeat(200_001));
  // A few bytes that would unpack to more than any push may have.
  await refused(compressed(" ".repeat(10_000_000)), brotli);
  await refused("not brotli", brotli);
  await refused("{", {});
  await refused("{}", { "content-encoding": "zstd" });
});

Deno.test("deploy-protocol 2.1: the key may stand in the body alone, which may not be large then", async () => {
  await using server = serving();
  const config = await post(server, "get_config_hashes", JSON.stringify({ adminKey }));
  assert.deepEqual([config.status, config.answer], [200, { moduleHashes: [] }]);
  const wrong = await post(server, "get_config_hashes", '{"adminKey":"x"}');
  assert.deepEqual([wrong.status, wrong.code], [401, "BadAdminKey"]);
  const missing = await post(server, "get_config_hashes", "{}");
  assert.deepEqual([missing.status, missing.code], [403, "BadDeployKey"]);
  const padded = JSON.stringify({ adminKey, padding: "x".repeat(1000) });
  assert.equal((await post(server, "get_config_hashes", padded)).status, 400);
});

Deno.test("deploy-protocol 2.4: only admins push", async () => {
  await using server = serving();
  const wrong = await post(server, "deploy2/start_push", "{}", { authorization: "Convex x" });
  assert.deepEqual([wrong.status, wrong.code], [401, "BadAdminKey"]);
});

Deno.test("deploy-protocol 3.13: timings are taken and forgotten", async () => {
  await using server = serving();
  const report = await post(server, "deploy2/report_push_completed", '{"spans":[]}', asAdmin);
  assert.deepEqual([report.status, report.answer], [200, null]);
});
