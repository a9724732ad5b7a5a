import assert from "node:assert/strict";
import { Log } from "./log.ts";

Deno.test("function-abi 83: the 256th line says that the rest is omitted", () => {
  const log = new Log();
  const nested = log.nested("a.js:f", "");
  for (let i = 0; i < 300; i++) (i % 2 === 0 ? log : nested).add("LOG", [String(i)]);
  const lines = log.take();
  assert.equal(lines.length, 256);
  assert.deepEqual([lines[254]!.messages, lines[253]!.udfPath], [["254"], "a.js:f"]);
  assert.deepEqual(lines[255]!.messages, [
    "Log overflow (maximum 256). Remaining log lines omitted.",
  ]);
  assert.equal(lines[255]!.level, "ERROR");
  log.addSystem("WARN", "near a limit", "warning:X");
  assert.deepEqual(log.take().map(({ systemCode }) => systemCode), ["warning:X"]);
});

Deno.test("function-abi 84: a long line is cut at a character and marked", () => {
  const log = new Log();
  log.add("LOG", ["a".repeat(32_766), "é", "dropped"]);
  log.add("LOG", ["b".repeat(32_768)]);
  log.add("LOG", ["c".repeat(40_000)]);
  log.add("LOG", ["€".repeat(20_000)]);
  const lines = log.take();
  assert.deepEqual(lines.map(({ isTruncated }) => isTruncated), [true, false, true, true]);
  assert.deepEqual(lines[0]!.messages.map(({ length }) => length), [32_766, 0]);
  assert.equal(lines[2]!.messages[0]!.length, 32_768);
  assert.equal(lines[3]!.messages[0]!.length, Math.floor(32_768 / 3));
});

Deno.test("Log tells of each line as it is added", () => {
  let count = 0;
  const log = new Log(() => count++);
  log.add("INFO", ["one"]);
  log.nested("a.js:f", "").add("INFO", ["two"]);
  assert.equal(count, 2);
});
