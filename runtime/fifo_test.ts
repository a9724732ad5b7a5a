import assert from "node:assert/strict";
import { Fifo } from "./fifo.ts";

Deno.test("Fifo gives back what it was given, in order", () => {
  const fifo = new Fifo<number>();
  assert.equal(fifo.take(), null);
  fifo.add(1);
  fifo.add(2);
  assert.equal(fifo.take(), 1);
  fifo.add(3);
  assert.deepEqual([fifo.take(), fifo.take(), fifo.take()], [2, 3, null]);
});
