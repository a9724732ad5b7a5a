/**
 * A transaction over an app and two components against a model: maps that are copied where a nested mutation begins.
 * Every step is compared, as is what the next transaction finds.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { appComponent, type ComponentId } from "./component.ts";
import { TestDatabase } from "./database_testing.ts";
import type { NestedTransaction, Transaction } from "./transaction.ts";

const owners = [appComponent, "a", "b"] as ComponentId[];
/** Only the app has the first one to begin with. */
const tables = ["known", "other"];

interface Model {
  /** Numbers of documents by their ids, by owner and table. */
  readonly documents: ReadonlyMap<string, ReadonlyMap<string, number>>;
}

type Step =
  | { readonly kind: "insert"; readonly owner: ComponentId; readonly table: string; n: number }
  | { readonly kind: "patch" | "delete"; readonly owner: ComponentId; pick: number; n: number }
  | { readonly kind: "nest" | "commit" | "rollback" };

const owner = fc.constantFrom(...owners);
const n = fc.nat(100);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("insert" as const),
      owner,
      table: fc.constantFrom(...tables),
      n,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom("patch" as const, "delete" as const),
      owner,
      pick: fc.nat(),
      n,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom("nest" as const, "commit" as const, "rollback" as const),
    }),
  },
);

const place = (owner: ComponentId, table: string) => `${owner}/${table}`;

function run(transaction: Transaction, start: Model, steps: readonly Step[]): Model {
  let model = start;
  const nested: { readonly transaction: NestedTransaction; readonly before: Model }[] = [];
  const set = (at: string, change: (table: Map<string, number>) => void) => {
    const table = new Map(model.documents.get(at));
    change(table);
    model = { documents: new Map(model.documents).set(at, table) };
  };
  for (const step of steps) {
    switch (step.kind) {
      case "insert": {
        const id = transaction.ofComponent(step.owner).insert(step.table, { n: step.n });
        set(place(step.owner, step.table), (table) => table.set(id, step.n));
        break;
      }
      case "patch":
      case "delete": {
        const known = [...model.documents].flatMap(([at, table]) =>
          [...table.keys()].map((id) => ({ at, id }))
        );
        if (known.length === 0) break;
        const { at, id } = known[step.pick % known.length]!;
        const view = transaction.ofComponent(step.owner);
        const change = () =>
          step.kind === "patch" ? view.patch(id, { n: step.n }) : view.delete(id);
        if (!at.startsWith(`${step.owner}/`)) {
          assert.throws(change, { code: "InvalidArgument" });
          break;
        }
        change();
        set(at, (table) => step.kind === "patch" ? table.set(id, step.n) : table.delete(id));
        break;
      }
      case "nest":
        nested.push({ transaction: transaction.nest(), before: model });
        break;
      case "commit":
        nested.pop()?.transaction.commit();
        break;
      case "rollback": {
        const last = nested.pop();
        last?.transaction.rollback();
        model = last?.before ?? model;
      }
    }
    compare(transaction, model);
  }
  for (const { transaction } of nested.toReversed()) transaction.commit();
  return model;
}

function compare(transaction: Transaction, { documents }: Model): void {
  for (const owner of owners) {
    const view = transaction.ofComponent(owner);
    for (const table of tables) {
      const found = view.openQuery({
        source: { type: "FullTableScan", tableName: table, order: "asc" },
        operators: [],
      }).collect().map(({ _id, n }) => [_id, n]);
      const expected = [...documents.get(place(owner, table)) ?? []];
      assert.deepEqual(found, expected);
      assert.equal(view.count(table), expected.length);
      for (const [id] of expected) {
        for (const other of owners) {
          const document = transaction.ofComponent(other).get(id);
          assert.equal(document?._id, other === owner ? id : undefined);
        }
      }
    }
  }
}

Deno.test("components 2, 14, 15: a transaction over several components behaves as a model of it does", () => {
  fc.assert(
    fc.property(fc.array(fc.array(step, { maxLength: 20 }), { maxLength: 4 }), (transactions) => {
      const database = new TestDatabase([{ name: "known" }], null, ["a", "b"]);
      let model: Model = { documents: new Map() };
      for (const steps of transactions) {
        database.commit((transaction) => {
          model = run(transaction, model, steps);
        });
        compare(database.begin(), model);
      }
    }),
    { numRuns: 200 },
  );
});
