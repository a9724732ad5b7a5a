import assert from "node:assert/strict";
import { FakeEnvironment } from "../../tests/support/fake_environment.ts";
import { defaultConfig } from "../config.ts";
import { watchConnections } from "./connection_watch.ts";

const MiB = 1024 * 1024;

/** A process whose use a test sets, and how often its listeners have been renewed. */
function watched(config: { readonly connectionsMax?: number } = {}) {
  const environment = new FakeEnvironment();
  const state = { openFiles: 0, residentBytes: 0, renewals: 0 };
  const stop = watchConnections({
    listeners: [{ renew: () => state.renewals++ }],
    use: {
      openFiles: () => state.openFiles,
      openFilesMax: () => 1000,
      residentBytes: () => state.residentBytes,
    },
    environment,
    config: {
      ...defaultConfig,
      serverMemoryMiB: 100,
      vectorMemoryMiB: 50,
      queryCacheBytesMax: 50 * MiB,
      ...config,
    },
  });
  return { environment, state, stop };
}

Deno.test("listeners are renewed above the bound on connections, with a pause between", async () => {
  const { environment, state, stop } = watched({ connectionsMax: 500 });
  state.openFiles = 500;
  await environment.advance(10_000);
  assert.equal(state.renewals, 0);
  state.openFiles = 501;
  await environment.advance(1_000);
  assert.equal(state.renewals, 1);
  await environment.advance(2_000);
  assert.equal(state.renewals, 2);
  stop();
  await environment.advance(10_000);
  assert.equal(state.renewals, 2);
});

Deno.test("listeners are renewed before the system refuses more files", async () => {
  const { environment, state, stop } = watched();
  state.openFiles = 801;
  await environment.advance(300);
  assert.equal(state.renewals, 1);
  stop();
});

Deno.test("listeners are renewed above the bound on memory, once a minute", async () => {
  const { environment, state, stop } = watched();
  state.residentBytes = 200 * MiB;
  await environment.advance(1_000);
  assert.equal(state.renewals, 0);
  state.residentBytes++;
  await environment.advance(59_000);
  assert.equal(state.renewals, 1);
  await environment.advance(60_000);
  assert.equal(state.renewals, 2);
  stop();
});
