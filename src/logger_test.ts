import assert from "node:assert/strict";
import { log, setLogFormat } from "./logger.ts";

Deno.test("log() writes one line an event: text for people, JSON for programs", () => {
  const lines: string[] = [];
  const { error } = console;
  console.error = (line: string) => lines.push(line);
  try {
    log("warn", "Two words", { path: "/a/b", text: "a b", error: new Error("no\nluck") });
    setLogFormat("json");
    log("error", "Two words", { count: 3, level: "mine", error: new Error("no\nluck") });
  } finally {
    console.error = error;
    setLogFormat("text");
  }
  assert.equal(lines.length, 2);
  assert.match(lines[0]!, /^\S+Z warn {2}Two words path=\/a\/b text="a b" error="Error: no\\nluck/);
  const { time, error: stack, ...rest } = JSON.parse(lines[1]!);
  assert.ok(!Number.isNaN(Date.parse(time)));
  assert.match(stack, /^Error: no\nluck/);
  assert.deepEqual(rest, { level: "error", message: "Two words", count: 3 });
});
