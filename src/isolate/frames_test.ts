import assert from "node:assert/strict";
import fc from "fast-check";
import {
  checkFrame,
  decodeFrame,
  encodeFrame,
  FrameDecoder,
  FrameError,
  frameIsolate,
  joinFrames,
  splitFrames,
  stampFrame,
} from "./frames.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("encodeFrame and decodeFrame are inverse", () => {
  const frame = encodeFrame(7, { type: "revoke", callIds: [1, 2] }, '["ü"]');
  const { isolate, header, body } = decodeFrame(frame);
  assert.deepEqual([isolate, header, text(body)], [
    7,
    { type: "revoke", callIds: [1, 2] },
    '["ü"]',
  ]);
});

Deno.test("encodeFrame takes bodies of any size, and leaves each frame its own", () => {
  const bodies = ["", "ü€𝄞", "ü".repeat(100_000), "a".repeat(30_000), "€"];
  const frames = bodies.map((body) => encodeFrame(7, { type: "ready" }, body));
  assert.deepEqual(frames.map((frame) => text(decodeFrame(frame).body)), bodies);
  const bytes = new Uint8Array(100_000).fill(9);
  assert.deepEqual(decodeFrame(encodeFrame(7, { type: "ready" }, bytes)).body, bytes);
});

Deno.test("stampFrame replaces the isolate number and nothing else", () => {
  const frame = encodeFrame(7, { type: "ready" }, "x");
  stampFrame(frame, 0xfffffffe);
  assert.equal(frameIsolate(frame), 0xfffffffe);
  assert.equal(text(decodeFrame(frame).body), "x");
});

Deno.test("FrameDecoder finds the same frames however the stream is cut", () => {
  const bodies = fc.array(fc.string({ maxLength: 40 }), { maxLength: 8 });
  const cuts = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 40 });
  fc.assert(fc.property(bodies, cuts, (bodies, cuts) => {
    const frames = bodies.map((body, index) => encodeFrame(index, { type: "ready" }, body));
    const stream = new Uint8Array(frames.flatMap((frame) => [...frame]));
    const decoder = new FrameDecoder();
    const found: Uint8Array[] = [];
    for (let position = 0, index = 0; position < stream.length; index++) {
      const count = cuts[index % cuts.length]!;
      found.push(...decoder.push(stream.slice(position, position + count)));
      position += count;
    }
    assert.deepEqual(found, frames);
    assert.ok(found.every((frame) => frame.buffer.byteLength === frame.byteLength));
  }));
});

Deno.test("splitFrames finds what joinFrames joined, and refuses a piece that ends within a frame", () => {
  const frames = ["", "a", "bc"].map((body, index) => encodeFrame(index, { type: "ready" }, body));
  const piece = joinFrames(frames);
  assert.deepEqual(splitFrames(piece), frames);
  for (let length = piece.byteLength - 1; length > frames[0]!.byteLength; length--) {
    if (length === frames[0]!.byteLength + frames[1]!.byteLength) continue;
    assert.throws(() => splitFrames(piece.subarray(0, length)), FrameError);
  }
});

Deno.test("FrameDecoder refuses lengths that are no frame before it allocates them", () => {
  assert.throws(() => new FrameDecoder().push(new Uint8Array([255, 255, 255, 255])), FrameError);
  assert.throws(() => new FrameDecoder().push(new Uint8Array([0, 0, 0, 0])), FrameError);
});

Deno.test("checkFrame and decodeFrame throw only FrameError, whatever the bytes", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
    assert.throws(() => checkFrame(bytes), FrameError);
    assert.throws(() => decodeFrame(bytes), FrameError);
    if (bytes.length > 0) assert.throws(() => splitFrames(bytes), FrameError);
  }));
  const broken = encodeFrame(1, { type: "ready" });
  broken[12] = 0;
  assert.throws(() => decodeFrame(broken), FrameError);
});
