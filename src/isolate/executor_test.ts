import assert from "node:assert/strict";
import { defaultConfig } from "../config.ts";
import { systemEnvironment } from "../environment.ts";
import { executorCommand } from "./executor.ts";
import { ExecutorProcess } from "./executor_process.ts";
import { decodeFrame, encodeFrame, type Frame } from "./frames.ts";
import type { ToIsolate } from "./protocol.ts";

const isolateModule = new URL("../../tests/support/scripted_isolate.ts", import.meta.url).href;

Deno.test("an executor that was started with all permissions narrows those of its isolates", async () => {
  const dataFolder = await Deno.makeTempDir();
  const command = executorCommand({
    kind: "transaction",
    config: defaultConfig,
    environment: systemEnvironment,
    databasePath: `${dataFolder}/data.db`,
    databaseOpened: Promise.resolve(),
    dataFolder,
    isolateModule,
    isolatesMax: 16,
  });
  assert.equal(command.variables.DENO_V8_FLAGS, "--no-compilation-cache");
  // As a compiled binary would be.
  const args = command.args.filter((arg) => !arg.startsWith("--allow-write"))
    .map((arg) => arg.startsWith("--allow-read") ? "--allow-all" : arg);

  const waiting: ((frame: Frame) => void)[] = [];
  const process = new ExecutorProcess({ ...command, args }, systemEnvironment, {
    frame(bytes) {
      const frame = decodeFrame(bytes);
      // Reported whenever the time for it has come.
      if ((frame.header as { type: string }).type !== "memory") waiting.shift()?.(frame);
    },
    exited: () => {},
  });
  const next = () => new Promise<Frame>((resolve) => waiting.push(resolve));
  const [started, ready] = [next(), next()];
  process.send(encodeFrame(0, { type: "spawn", isolate: 7 }));
  assert.deepEqual((await started).header, { type: "ready" });
  assert.equal((await ready).isolate, 7);

  const ask = async (script: string): Promise<string> => {
    const answer = next();
    const call = { kind: "query", export: script };
    process.send(encodeFrame(7, { type: "call", callId: 1, call } as unknown as ToIsolate));
    return new TextDecoder().decode((await answer).body);
  };
  assert.equal(await ask("read:/etc/hostname"), "NotCapable");
  assert.match(await ask(`read:${new URL("../../deno.json", import.meta.url).pathname}`), /hull/);
  assert.equal(JSON.parse(await ask("environment")).env, "prompt");

  const death = next();
  process.send(encodeFrame(7, {
    type: "call",
    callId: 2,
    call: { kind: "query", export: "exit" },
  } as unknown as ToIsolate));
  const { isolate, reason } = (await death).header as { isolate: number; reason: string };
  assert.deepEqual([isolate, reason], [7, "exit"]);
  await process.close();
  await Deno.remove(dataFolder, { recursive: true });
});
