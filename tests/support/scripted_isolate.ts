/**
 * An isolate for tests of what lies around isolates: it speaks the protocol of runtime/isolate.ts, but instead of
 * running user code it does what the name of the called export says.
 */
import { workerData } from "node:worker_threads";
import type { CommitRequest } from "../../src/committer/protocol.ts";
import { zeroTimestamp } from "../../src/database/timestamp.ts";
import { decodeFrame, encodeFrame, splitFrames } from "../../src/isolate/frames.ts";
import { Heartbeat } from "../../src/isolate/heartbeat.ts";
import type { IsolateData } from "../../src/isolate/isolate_data.ts";
import type { FromIsolate, FunctionCall, ToIsolate } from "../../src/isolate/protocol.ts";
import { watchHeap } from "../../runtime/heap_watch.ts";

const { port, heartbeat: memory, isolate, kind, limits } = workerData as IsolateData;
const heartbeat = new Heartbeat(memory);
watchHeap(heartbeat);

const loaded = new Set<string>();
const revoked = new Set<number>();
const aborted: number[] = [];
const queue: { message: ToIsolate & { type: "call" }; body: Uint8Array }[] = [];
const operations = new Map<number, (body: Uint8Array) => void>();
/** Memory that outlives calls. */
const hoard: Uint8Array[] = [];
let sequence = 0;
let busy = false;

function send(message: FromIsolate, body: Uint8Array | string = ""): void {
  const frame = encodeFrame(isolate, message, body);
  port.postMessage(frame, [frame.buffer]);
}

port.onmessage = ({ data }) => splitFrames(data).forEach(receive);

function receive(frame: Uint8Array): void {
  const { header, body } = decodeFrame(frame);
  const message = header as ToIsolate;
  if (message.type === "load") loaded.add(message.deployment.id);
  else if (message.type === "unload") loaded.delete(message.deployment);
  else if (message.type === "revoke") message.callIds.forEach((callId) => revoked.add(callId));
  else if (message.type === "aborted") aborted.push(message.sequence);
  else if (message.type === "operationResult") operations.get(message.operationId)?.(body);
  else if (message.type === "analyze") {
    analyze(message);
  } else if (message.type === "call") {
    queue.push({ message, body });
    // As the real one does, so that a revocation can arrive between two calls.
    if (!busy) setImmediate(work);
    busy = true;
  }
}

async function work(): Promise<void> {
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { callId, call } = next.message;
    if (!revoked.delete(callId)) await run(callId, call, next.body);
    await new Promise((resolve) => setImmediate(resolve));
  }
  busy = false;
}

async function run(callId: number, call: FunctionCall, body: Uint8Array): Promise<void> {
  const userMs = kind === "action" ? limits.actionTimeoutS * 1000 : limits.functionTimeoutMs;
  heartbeat.begin(callId, userMs, limits.databaseTimeoutS * 1000);
  const answer = await perform(callId, call, body);
  heartbeat.end();
  if (answer === null) return;
  const outcome = {
    kind: "success" as const,
    snapshot: zeroTimestamp,
    reads: [],
    ...(call.kind === "mutation" ? { commit: emptyCommit() } : {}),
  };
  const usage = {
    documentsRead: 0,
    bytesRead: 0,
    documentsWritten: 0,
    bytesWritten: 0,
    durationMs: 0,
  };
  send({ type: "result", callId, outcome, logLines: [], usage }, answer);
}

function emptyCommit(): Omit<CommitRequest, "session"> {
  return {
    snapshot: zeroTimestamp,
    structureVersion: 0,
    reads: [],
    writes: { documents: [], tables: [] },
    origin: { isolate, sequence: ++sequence },
    dependsOn: [],
  };
}

/** The body of the answer; null for none at all. */
async function perform(
  callId: number,
  call: FunctionCall,
  body: Uint8Array,
): Promise<Uint8Array | string | null> {
  const [name, argument] = call.export.split(":");
  switch (name) {
    case "echo":
      return body;
    case "whoami":
      return JSON.stringify({ isolate, loaded: [...loaded], aborted });
    case "spinFor": {
      for (const end = Date.now() + Number(argument); Date.now() < end;);
      return JSON.stringify({ isolate });
    }
    case "spinInSteps":
      // Of 10 ms each, however long the process is stopped in the middle of one.
      for (let step = 0; step < Number(argument); step++) {
        for (const end = Date.now() + 10; Date.now() < end;);
      }
      return JSON.stringify({ isolate });
    case "wait":
      await new Promise((resolve) => setTimeout(resolve, Number(argument)));
      return JSON.stringify({ isolate });
    case "spin":
      for (;;);
    case "databaseHangs":
      heartbeat.pauseUser();
      return await new Promise(() => {});
    case "fillHeap": {
      const objects: unknown[] = [];
      for (let index = 0;; index++) objects.push({ index, text: `object ${index}` });
    }
    case "exit":
      return process.exit(3);
    case "fillMemory":
      for (const buffers: Uint8Array[] = [];;) buffers.push(new Uint8Array(2 ** 24).fill(1));
    case "hoard":
      hoard.push(new Uint8Array(Number(argument) * 2 ** 20).fill(1));
      return "hoarded";
    case "crashProcess":
      Deno.kill(Deno.pid, "SIGKILL");
      return null;
    case "print":
      console.log("printed by user code");
      process.stdout.write("and written by it\n");
      return "printed";
    case "garbage":
      port.postMessage(new Uint8Array([1, 2, 3]));
      return null;
    case "lies":
      send(
        {
          type: "result",
          callId,
          outcome: { kind: "success", reads: 5 },
        } as unknown as FromIsolate,
      );
      return null;
    case "operation": {
      const answer = new Promise<Uint8Array>((resolve) => operations.set(1, resolve));
      send({ type: "log", callId, logLines: [] });
      send(
        {
          type: "operation",
          callId,
          operationId: 1,
          operation: "runQuery",
          fields: { path: "a:b" },
        },
        body,
      );
      return await answer;
    }
    case "read":
      return await Deno.readTextFile(argument!).catch((error: Error) => error.name);
    case "environment":
      return JSON.stringify({ env: Deno.permissions.querySync({ name: "env" }).state });
    default:
      throw new Error(`Not in the script: ${call.export}`);
  }
}

async function analyze(message: ToIsolate & { type: "analyze" }): Promise<void> {
  heartbeat.begin(message.callId, limits.analysisTimeoutMs, 1000);
  const analyzed = message.deployment.modules.filter(({ path }) =>
    message.only === undefined || path === message.only
  );
  for (const { path } of analyzed) {
    if (path === "spins.js") { for (;;); }
  }
  heartbeat.end();
  const modules = Object.fromEntries(
    analyzed.map(({ path }) => [
      path,
      { functions: [], httpRoutes: null, crons: null, exported: null },
    ]),
  );
  await Promise.resolve();
  send({ type: "analyzed", callId: message.callId, result: { kind: "success", modules } });
}

send({ type: "ready" });
