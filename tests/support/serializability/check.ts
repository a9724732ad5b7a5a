/**
 * Whether a history is strictly serializable, as far as what was observed can tell: there is an order of its
 * transactions, in keeping with real time, in which each would have seen what it saw. Finds no fault with a
 * history that is.
 */
import { findCycle } from "./cycles.ts";
import { DependencyGraph } from "./dependency_graph.ts";
import type { Anomaly, History } from "./history.ts";
import { VersionOrder } from "./version_order.ts";

export function findAnomalies(history: History): Anomaly[] {
  const versions = new VersionOrder(history);
  const anomalies = [...versions.anomalies];
  for (const transaction of history.committed) {
    const seen = [
      ...transaction.reads.filter(({ versions }) => versions.length === 1)
        .map(({ versions: [version] }) => version!),
      ...transaction.writes.map(({ replaces }) => replaces),
    ];
    for (const version of new Set(seen)) {
      const anomaly = versions.readAnomaly(transaction, version);
      if (anomaly !== undefined) anomalies.push(anomaly);
    }
  }
  const cycle = findCycle(new DependencyGraph(history, versions));
  return cycle === undefined ? anomalies : [...anomalies, cycle];
}
