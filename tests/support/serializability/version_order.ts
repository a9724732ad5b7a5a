/** Who wrote which version of a key, and which version came after it. */
import type { Anomaly, History, RecordedTransaction, Version } from "./history.ts";

export interface WrittenVersion {
  readonly transaction: RecordedTransaction;
  /** The transaction itself replaced it: nobody else may ever see it. */
  readonly isIntermediate: boolean;
}

export class VersionOrder {
  /** What is wrong with the versions themselves. */
  readonly anomalies: Anomaly[] = [];
  readonly #aborted: ReadonlySet<string>;
  readonly #written = new Map<string, WrittenVersion>();
  /** By key and version: the transaction that wrote the next one. */
  readonly #replacedBy = new Map<string, RecordedTransaction>();

  constructor({ committed, aborted }: History) {
    this.#aborted = aborted;
    for (const transaction of committed) this.#addVersions(transaction);
    for (const transaction of committed) this.#addReplacements(transaction);
  }

  #addVersions(transaction: RecordedTransaction): void {
    const last = new Map(transaction.writes.map(({ key, version }) => [key, version]));
    for (const { key, version } of transaction.writes) {
      const isIntermediate = last.get(key) !== version;
      this.#written.set(version, { transaction, isIntermediate });
    }
  }

  #addReplacements(transaction: RecordedTransaction): void {
    for (const { key, replaces } of transaction.writes) {
      if (replaces !== null && this.#written.get(replaces)?.transaction === transaction) continue;
      const place = `${key} ${replaces}`;
      const other = this.#replacedBy.get(place);
      if (other === undefined) this.#replacedBy.set(place, transaction);
      else {
        const text = `${other.id} and ${transaction.id} both replaced ${replaces} of ${key}`;
        this.anomalies.push({ kind: "lost update", text });
      }
    }
  }

  writer(version: Version): RecordedTransaction | undefined {
    return version === null ? undefined : this.#written.get(version)?.transaction;
  }

  /** Who wrote the version after this one. */
  replacer(key: string, version: Version): RecordedTransaction | undefined {
    return this.#replacedBy.get(`${key} ${version}`);
  }

  /** What is wrong with having seen this version. */
  readAnomaly(reader: RecordedTransaction, version: Version): Anomaly | undefined {
    if (version === null) return undefined;
    const written = this.#written.get(version);
    if (written === undefined) {
      return this.#aborted.has(version)
        ? { kind: "G1a", text: `${reader.id} saw ${version}, which was rolled back` }
        : { kind: "unknown version", text: `${reader.id} saw ${version}, which nobody committed` };
    }
    if (!written.isIntermediate || written.transaction === reader) return undefined;
    return { kind: "G1b", text: `${reader.id} saw ${version}, which was not its writer's last` };
  }
}
