import assert from "node:assert/strict";
import { FairQueue } from "./fair_queue.ts";

const call = (client: string, n: number) => ({ client, n });

Deno.test("FairQueue first() is the oldest call of the client with the lowest rank", () => {
  const queue = new FairQueue<ReturnType<typeof call>>();
  for (const each of [call("a", 1), call("a", 2), call("b", 3), call("c", 4)]) queue.push(each);
  const ranks: Record<string, number> = { a: 2, b: 1, c: 1 };
  const first = () => queue.first((client) => ranks[client]!, 0);
  assert.equal(first()!.n, 3);
  ranks.b = Infinity;
  assert.equal(first()!.n, 4);
  ranks.c = Infinity;
  assert.equal(queue.shift("a").n, 1);
  assert.equal(first()!.n, 2);
  ranks.a = Infinity;
  assert.equal(first(), undefined);
  assert.equal(queue.size, 3);
});

Deno.test("FairQueue puts calls back in front, in their order, and takes out those that are named", () => {
  const queue = new FairQueue<ReturnType<typeof call>>();
  queue.push(call("a", 3));
  queue.unshift([call("a", 1), call("b", 9), call("a", 2)]);
  assert.deepEqual([...queue].filter(({ client }) => client === "a").map(({ n }) => n), [1, 2, 3]);
  assert.deepEqual(queue.removeWhere(({ n }) => n % 2 === 1).map(({ n }) => n).sort(), [1, 3, 9]);
  assert.equal(queue.size, 1);
  assert.deepEqual([...queue], [call("a", 2)]);
});
