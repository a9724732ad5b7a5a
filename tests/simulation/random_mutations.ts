/** What clients of the simulation ask for. */
import type { SeededRandom } from "../support/random.ts";
import type { Item } from "./history.ts";
import type { SimulatedDatabase } from "./simulated_isolate.ts";

export type Body = (database: SimulatedDatabase) => void;

const groups = 3;
/** Where results computed from the other groups are kept. */
const resultsGroup = groups;

export function randomBody(random: SeededRandom): Body {
  const name = () => `item${random.integer(8)}`;
  const group = () => random.integer(groups);
  const value = () => random.integer(100);
  return random.pick([
    () => change(name(), (item) => ({ ...item, value: item.value + 1 })),
    () => change(name(), (item) => ({ ...item, value: item.value + 1 })),
    () => move(name(), group()),
    () => remove(name()),
    () => insert({ name: name(), group: group(), value: value() }),
    () => insert({ name: name(), group: group(), value: value() }),
    () => transfer(name(), name()),
    () => total(group()),
    () => raise(name(), group()),
    () => touchTable(`table${random.integer(5)}`),
  ])();
}

function insert(item: Item): Body {
  return (database) => {
    if (database.item(item.name) === undefined) database.insert(item);
  };
}

function change(name: string, how: (item: Item) => Item): Body {
  return (database) => {
    const item = database.item(name);
    if (item !== undefined) database.change(how(item));
  };
}

function move(name: string, group: number): Body {
  return change(name, (item) => ({ ...item, group }));
}

function remove(name: string): Body {
  return (database) => {
    if (database.item(name) !== undefined) database.remove(name);
  };
}

function transfer(from: string, to: string): Body {
  return (database) => {
    if (from === to) return;
    const [source, target] = [database.item(from), database.item(to)];
    if (source === undefined || target === undefined) return;
    database.change({ ...source, value: source.value - 1 });
    database.change({ ...target, value: target.value + 1 });
  };
}

/** Reads a whole range and writes what follows from it. */
function total(group: number): Body {
  return (database) => {
    const value = database.group(group).reduce((sum, item) => sum + item.value, 0);
    const result = { name: `total${group}`, group: resultsGroup, value };
    if (database.item(result.name) === undefined) database.insert(result);
    else database.change(result);
  };
}

/** Reads one end of a range and writes into it. */
function raise(name: string, group: number): Body {
  return (database) => {
    const largest = database.largest(group) ?? 0;
    const item = database.item(name);
    if (item !== undefined) database.change({ ...item, group, value: largest + 1 });
  };
}

function touchTable(name: string): Body {
  return (database) => database.touchTable(name);
}
