import assert from "node:assert/strict";
import { FakeEnvironment } from "../../tests/support/fake_environment.ts";
import { SigningKey } from "../../tests/support/identity_provider.ts";
import { KeySet } from "./key_set.ts";
import { ProviderDocumentError } from "./provider_document.ts";

const [first, second] = await Promise.all([
  SigningKey.generate("ES256", "first"),
  SigningKey.generate("ES256", "second"),
]);
const outage = new ProviderDocumentError("no answer", null, true);
const minuteMs = 60_000;

function setUp(options: { readonly maxAgeS?: number } = {}) {
  const environment = new FakeEnvironment();
  const provider = {
    fetches: 0,
    keys: [first],
    failure: undefined as Error | undefined,
    answers: Promise.resolve(),
  };
  const keySet = new KeySet(async () => {
    provider.fetches++;
    await provider.answers;
    if (provider.failure !== undefined) throw provider.failure;
    const json = { keys: provider.keys.map(({ publicJwk }) => publicJwk) };
    return { json, maxAgeS: options.maxAgeS ?? null };
  }, environment);
  const token = { payload: "", signature: "" };
  const find = async (kid: string) => await keySet.find({ alg: "ES256", kid }, token);
  return { environment, provider, find };
}

Deno.test("http-api rule 109: keys are fetched once, by all who wait together, until their time is over", async () => {
  for (const [maxAgeS, freshMinutes] of [[undefined, 10], [0, 1], [300, 5], [1e9, 60]] as const) {
    const { environment, provider, find } = setUp(maxAgeS === undefined ? {} : { maxAgeS });
    await Promise.all([find("first"), find("first"), find("first")]);
    await environment.advance(freshMinutes * minuteMs);
    await find("first");
    assert.equal(provider.fetches, 1);
    await environment.advance(1);
    await Promise.all([find("first"), find("first")]);
    assert.equal(provider.fetches, 2);
  }
});

Deno.test("KeySet finds a new key at once, and asks for made-up ones a few times a minute at most", async () => {
  const { environment, provider, find } = setUp();
  await find("first");
  provider.keys = [second];
  await find("second");
  await assert.rejects(find("first"), /no applicable key found/);
  for (let n = 0; n < 50; n++) await assert.rejects(find(`made up ${n}`));
  assert.equal(provider.fetches, 5);
  await find("second");
  await environment.advance(minuteMs);
  await assert.rejects(find("made up"));
  assert.equal(provider.fetches, 6);
});

Deno.test("KeySet goes on with the last keys for a day while the provider cannot be reached", async () => {
  const { environment, provider, find } = setUp();
  await find("first");
  provider.failure = outage;
  await environment.advance(23 * 60 * minuteMs);
  await find("first");
  await assert.rejects(find("second"), /no answer/, "it may be new");
  await environment.advance(2 * 60 * minuteMs);
  await assert.rejects(find("first"), /no answer/);
  provider.failure = undefined;
  await environment.advance(minuteMs);
  await find("first");
});

Deno.test("KeySet lets nobody wait for a provider that is known to be away", async () => {
  const { environment, provider, find } = setUp();
  await find("first");
  provider.failure = outage;
  await environment.advance(11 * minuteMs);
  await find("first");
  const answer = Promise.withResolvers<void>();
  provider.answers = answer.promise;
  await environment.advance(minuteMs);
  for (let n = 0; n < 10; n++) await find("first");
  assert.equal(provider.fetches, 3, "it is asked meanwhile");
  provider.failure = undefined;
  provider.keys = [second];
  answer.resolve();
  await environment.advance(0);
  await assert.rejects(find("first"), /no applicable key found/);
});

Deno.test("KeySet gives up the last keys when the provider answers without any", async () => {
  const { environment, provider, find } = setUp();
  await find("first");
  provider.failure = new ProviderDocumentError("HTTP 404", 404, false);
  await environment.advance(11 * minuteMs);
  await assert.rejects(find("first"), /HTTP 404/);
});

Deno.test("KeySet asks a provider that is down a few times a minute at most", async () => {
  const { environment, provider, find } = setUp();
  provider.failure = outage;
  for (let n = 0; n < 50; n++) await assert.rejects(find("first"), /no answer/);
  assert.equal(provider.fetches, 5);
  provider.failure = undefined;
  await environment.advance(minuteMs);
  await find("first");
});
