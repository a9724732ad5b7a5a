/** The example that takes webhooks, with its own script. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { appServer } from "../support/app_server.ts";

const WEBHOOK_SECRET = "only for tests";
const script = fileURLToPath(
  new URL("../../examples/webhooks/try.sh", import.meta.url),
);

const { test } = appServer({
  app: "examples/webhooks",
  variables: () => ({ WEBHOOK_SECRET }),
});

test("the webhooks example records signed deliveries once, and streams them", async ({ server }) => {
  const { code, stdout, stderr } = await new Deno.Command("sh", {
    args: [script, server.url],
    env: { WEBHOOK_SECRET },
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  const sections = new TextDecoder().decode(stdout).split(/^# .*\n/m).slice(1);
  const [first, another, forged, received, told] = sections;
  assert.equal(first, '{"status":"new"} 200\n{"status":"seen before"} 200\n');
  assert.equal(another, '{"status":"new"} 200\n');
  assert.match(forged!, /^The signature is missing, wrong or too old\n 401$/m);
  const orders = received!.trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(orders.map(({ item, quantity }) => [item, quantity]), [[
    "tea",
    2,
  ], ["cups", 4]]);
  assert.match(
    told!,
    /^: waiting for orders\n\ndata: .*"tea".*\n\ndata: .*"cups".*\n\n$/,
  );
});

test("the webhooks example refuses deliveries without a signature, or with an old one", async ({ server }) => {
  const post = (headers: HeadersInit) =>
    fetch(`${server.url}/webhooks/orders`, {
      method: "POST",
      body: "{}",
      headers,
    });
  for (
    const signature of ["", "t=1,v1=00", `t=1000000000,v1=${"0".repeat(64)}`]
  ) {
    const response = await post({
      "x-signature": signature,
      "x-delivery-id": "d",
    });
    assert.equal(response.status, 401);
    await response.body?.cancel();
  }
});

test("a delivery that is sent many times at once is one order", async ({ server }) => {
  const body = '{"item":"spoons","quantity":6}';
  const seconds = Math.floor(Date.now() / 1000);
  const key = await crypto.subtle.importKey(
    "raw",
    new TextEncoder().encode(WEBHOOK_SECRET),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  const text = new TextEncoder().encode(`${seconds}.${body}`);
  const digits = new Uint8Array(await crypto.subtle.sign("HMAC", key, text))
    .toHex();
  const headers = {
    "x-signature": `t=${seconds},v1=${digits}`,
    "x-delivery-id": "at-once",
  };
  const answers = await Promise.all(Array.from({ length: 8 }, async () => {
    const init = { method: "POST", body, headers };
    return (await (await fetch(`${server.url}/webhooks/orders`, init)).json())
      .status;
  }));
  assert.equal(answers.filter((status) => status === "new").length, 1);
  assert.equal(answers.filter((status) => status === "seen before").length, 7);
});
