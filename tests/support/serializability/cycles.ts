/** Cycles of a dependency graph, the worst kind first. */
import type { Dependency, DependencyGraph, DependencyKind } from "./dependency_graph.ts";
import type { Anomaly, AnomalyKind } from "./history.ts";

interface Step {
  readonly from: number;
  readonly dependency: Dependency;
}

interface CycleKind {
  readonly name: "G0" | "G1c" | "G-single" | "G2";
  /** How the cycle begins, and what else it may be made of. */
  readonly first: DependencyKind;
  readonly rest: readonly DependencyKind[];
}

const cycleKinds: readonly CycleKind[] = [
  { name: "G0", first: "ww", rest: ["ww"] },
  { name: "G1c", first: "wr", rest: ["ww", "wr"] },
  { name: "G-single", first: "rw", rest: ["ww", "wr"] },
  { name: "G2", first: "rw", rest: ["ww", "wr", "rw"] },
];

/** A shortest cycle of the worst kind that there is; undefined if there is none. */
export function findCycle(graph: DependencyGraph): Anomaly | undefined {
  const components = strongComponents(graph);
  if (!graphHasCycle(components)) return undefined;
  for (const suffix of ["", " realtime"] as const) {
    for (const { name, first, rest } of cycleKinds) {
      const kinds = suffix === "" ? rest : [...rest, "order" as const];
      const cycle = shortestCycle(graph, components, first, kinds);
      if (cycle !== undefined) {
        const kind: AnomalyKind = `${name}${suffix}`;
        return { kind, text: render(graph, cycle) };
      }
    }
  }
  return undefined;
}

function graphHasCycle(components: readonly number[]): boolean {
  return new Set(components).size < components.length;
}

function shortestCycle(
  graph: DependencyGraph,
  components: readonly number[],
  first: DependencyKind,
  rest: readonly DependencyKind[],
): Step[] | undefined {
  let shortest: Step[] | undefined;
  for (let from = 0; from < graph.size; from++) {
    for (const dependency of graph.after(from)) {
      if (dependency.kind !== first || components[from] !== components[dependency.to]) continue;
      const lengthMax = (shortest?.length ?? Infinity) - 2;
      const path = shortestPath(graph, dependency.to, from, { kinds: rest, components, lengthMax });
      if (path === undefined) continue;
      shortest = [{ from, dependency }, ...path];
      if (path.length === 1) return shortest;
    }
  }
  return shortest;
}

interface PathOptions {
  readonly kinds: readonly DependencyKind[];
  /** No path between two nodes of a component leaves it. */
  readonly components: readonly number[];
  readonly lengthMax: number;
}

function shortestPath(
  graph: DependencyGraph,
  start: number,
  end: number,
  { kinds, components, lengthMax }: PathOptions,
): Step[] | undefined {
  const arrivedBy = new Map<number, Step | null>([[start, null]]);
  let reached = [start];
  for (let length = 1; length <= lengthMax && reached.length > 0; length++) {
    const next: number[] = [];
    for (const from of reached) {
      for (const dependency of graph.after(from)) {
        const { to, kind } = dependency;
        if (components[to] !== components[start]) continue;
        if (arrivedBy.has(to) || !kinds.includes(kind)) continue;
        arrivedBy.set(to, { from, dependency });
        if (to === end) return stepsTo(end, arrivedBy);
        next.push(to);
      }
    }
    reached = next;
  }
  return undefined;
}

function stepsTo(end: number, arrivedBy: ReadonlyMap<number, Step | null>): Step[] {
  const steps: Step[] = [];
  for (let step = arrivedBy.get(end); step; step = arrivedBy.get(step.from)) steps.unshift(step);
  return steps;
}

/** For each node the number of its strongly connected component (Tarjan's algorithm, without recursion). */
function strongComponents(graph: DependencyGraph): number[] {
  const component: number[] = new Array(graph.size).fill(-1);
  const order: number[] = new Array(graph.size).fill(-1);
  const low: number[] = new Array(graph.size).fill(-1);
  const open: number[] = [];
  let visited = 0;
  let components = 0;
  const enter = (node: number) => {
    order[node] = low[node] = visited++;
    open.push(node);
    return { node, next: 0 };
  };
  for (let root = 0; root < graph.size; root++) {
    if (order[root] !== -1) continue;
    const path = [enter(root)];
    for (let frame; (frame = path.at(-1)) !== undefined;) {
      const { node } = frame;
      const dependency = graph.after(node)[frame.next++];
      if (dependency !== undefined) {
        const { to } = dependency;
        if (order[to] === -1) path.push(enter(to));
        else if (component[to] === -1) low[node] = Math.min(low[node]!, order[to]!);
        continue;
      }
      path.pop();
      const parent = path.at(-1)?.node;
      if (parent !== undefined) low[parent] = Math.min(low[parent]!, low[node]!);
      if (low[node] !== order[node]) continue;
      for (let member; member !== node;) component[member = open.pop()!] = components;
      components++;
    }
  }
  return component;
}

function render(graph: DependencyGraph, cycle: readonly Step[]): string {
  let text = "";
  for (const { from, dependency: { kind, key } } of cycle) {
    const transaction = graph.transaction(from);
    // Points in time stand between two transactions, which then are simply in order.
    if (transaction === undefined) continue;
    text += `${transaction.id} -${kind}${key === undefined ? "" : ` ${key}`}-> `;
  }
  return text + (graph.transaction(cycle[0]!.from)?.id ?? "");
}
