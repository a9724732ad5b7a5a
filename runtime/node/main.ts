/**
 * The program that runs "use node" modules: bundled by src/isolate/node_program.ts and run by Node.js, never by
 * Deno. One process serves one deployment: its environment variables become the process's own, its modules are
 * imported once and stay, and many actions run at the same time (function-abi 20).
 *
 * It speaks the frames of an isolate, in on standard input, out on the descriptor named by its argument, which
 * nothing else writes to. It ends when its input does.
 */
import { readFileSync, writeSync } from "node:fs";
import process from "node:process";
import { decodeFrame, encodeFrame, FrameDecoder, joinFrames } from "../../src/isolate/frames.ts";
import type { DeploymentManifest, FromNode, ToNode } from "../../src/isolate/protocol.ts";
import { Action } from "./action.ts";
import { analyzeModule } from "./analysis.ts";
import { setClockOffset } from "./clock.ts";
import { installConsole } from "./console.ts";
import { contain } from "./containment.ts";
import { installSyscalls } from "./syscalls.ts";
import { UserModules } from "./user_modules.ts";

const outputDescriptor = Number(process.argv[2]);
const actions = new Map<number, Action>();
const modules = new UserModules((file) => readFileSync(file, "utf8"));
let outgoing: Uint8Array<ArrayBuffer>[] = [];

function send(message: FromNode, body?: Uint8Array | string): void {
  outgoing.push(encodeFrame(0, message, body));
  if (outgoing.length === 1) queueMicrotask(flush);
}

function flush(): void {
  const bytes = joinFrames(outgoing);
  outgoing = [];
  for (let written = 0; written < bytes.byteLength;) {
    written += writeSync(outputDescriptor, bytes, written);
  }
}

function receive(message: ToNode, body: Uint8Array): void {
  switch (message.type) {
    case "load":
      return load(message.deployment);
    case "call": {
      const { callId, call } = message;
      setClockOffset(call.clockOffsetMs ?? 0);
      const action = new Action(callId, call, send);
      actions.set(callId, action);
      action.run(modules, body).finally(() => actions.delete(callId));
      return;
    }
    case "operationResult":
      return actions.get(message.callId)?.answer(message, body);
    case "ping":
      return send({ type: "pong", residentBytes: process.memoryUsage.rss() });
    case "analyze": {
      const { callId, deployment } = message;
      analyzeModule(modules, deployment.modules[0]!.path)
        .then((result) => send({ type: "analyzed", callId, result }));
      return;
    }
    case "unload":
    case "revoke":
    case "aborted":
      throw new Error(`A Node process is never told to ${message.type}`);
  }
}

function load(deployment: DeploymentManifest): void {
  Object.assign(process.env, { PWD: process.cwd() }, deployment.environmentVariables);
  modules.load(deployment);
}

modules.installStackTraces();
installConsole();
installSyscalls();
contain();

const decoder = new FrameDecoder();
const end = process.exit.bind(process);
process.stdin.on("data", (chunk: Uint8Array) => {
  for (const frame of decoder.push(chunk)) {
    const { header, body } = decodeFrame(frame);
    receive(header as ToNode, body);
  }
});
process.stdin.on("end", () => end(0));
send({ type: "ready" });
