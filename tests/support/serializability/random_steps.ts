/** Random transactions over few cells, so that they meet. */
import type { Filter, Step } from "../../fixtures/transactions/convex/steps.ts";
import type { SeededRandom } from "../random.ts";

/** The cells of one round, shared by all its clients. */
export interface World {
  readonly groups: readonly string[];
  /** May be moved and deleted; grows. */
  readonly keys: string[];
  /** May be inserted when they are missing, and never deleted. */
  readonly lastingKeys: readonly string[];
  /** Ids that somebody has seen. */
  readonly documents: string[];
}

const nestingMax = 3;

export function randomFilter(random: SeededRandom, world: World): Filter {
  const kind = random.integer(10);
  if (kind < 4) return { by: "key", key: random.pick([...world.keys, ...world.lastingKeys]) };
  if (kind < 5 && world.documents.length > 0) {
    return { by: "document", document: random.pick(world.documents) };
  }
  if (kind < 6) return { by: "scan" };
  return {
    by: "group",
    group: random.pick(world.groups),
    order: random.pick(["asc", "desc"]),
    first: random.pick([null, null, 1, 2, 3]),
  };
}

export function randomReads(random: SeededRandom, world: World, depth = 0): Step[] {
  return Array.from({ length: 1 + random.integer(3) }, (): Step => {
    if (depth < nestingMax && random.integer(8) === 0) {
      return { do: "call", kind: "query", steps: randomReads(random, world, depth + 1) };
    }
    return { do: "read", filter: randomFilter(random, world) };
  });
}

/** `name` makes the keys that it inserts unlike all others. */
export function randomSteps(
  random: SeededRandom,
  world: World,
  name: string,
  depth = 0,
): Step[] {
  const steps = Array.from(
    { length: 1 + random.integer(4) },
    (_, n) => randomStep(random, world, `${name}.${n}`, depth),
  );
  // A nested call that throws is undone alone, because its caller catches what it throws.
  if (random.integer(depth === 0 ? 25 : 3) === 0) steps.push({ do: "throw" });
  return steps;
}

function randomStep(random: SeededRandom, world: World, name: string, depth: number): Step {
  const group = () => random.pick(world.groups);
  const key = () => random.pick(world.keys);
  const kind = random.integer(20);
  if (kind < 6) return { do: "read", filter: randomFilter(random, world) };
  if (kind < 10) return { do: "write", key: key() };
  if (kind < 12) return { do: "upsert", key: random.pick(world.lastingKeys), group: group() };
  if (kind < 14) return { do: "move", key: key(), group: group() };
  if (kind < 15) {
    world.keys.push(name);
    return { do: "insert", key: name, group: group() };
  }
  if (kind < 18) {
    const [from, to] = [key(), key()];
    if (from === to) return { do: "write", key: from };
    if (kind === 17) return { do: "delete", key: from, heir: to };
    return { do: "transfer", from, to, amount: 1 + random.integer(9) };
  }
  if (depth === nestingMax) return { do: "write", key: key() };
  return kind === 18
    ? { do: "call", kind: "query", steps: randomReads(random, world, depth + 1) }
    : { do: "call", kind: "mutation", steps: randomSteps(random, world, name, depth + 1) };
}
