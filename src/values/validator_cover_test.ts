import assert from "node:assert/strict";
import { v, type Validator as LibraryValidator } from "convex/values";
import fc from "fast-check";
import { generateId } from "./document_id.ts";
import { parseValidator } from "./validator.ts";
import { covers, type ValidatorJson } from "./validator_cover.ts";
import type { Value } from "./value.ts";

// deno-lint-ignore no-explicit-any -- validators of any type
type AnyValidator = LibraryValidator<any, any, any>;

const json = (validator: AnyValidator) => (validator as unknown as { json: ValidatorJson }).json;

Deno.test("covers(): what a schema change may do without documents being read again", () => {
  const before = v.object({ a: v.string(), b: v.optional(v.number()), kind: v.literal("x") });
  const wider = [
    v.any(),
    v.object({ b: v.optional(v.number()), kind: v.literal("x"), a: v.string() }),
    v.object({ a: v.string(), b: v.optional(v.number()), kind: v.string() }),
    v.object({ ...before.fields, added: v.optional(v.string()) }),
    v.object({ ...before.fields, a: v.union(v.string(), v.null()) }),
    v.object({ ...before.fields, a: v.optional(v.string()) }),
    v.union(v.object({ other: v.null() }), before),
  ];
  for (const validator of wider) assert.ok(covers(json(validator), json(before)), `${validator}`);
  const narrower = [
    v.object({ a: v.string(), kind: v.literal("x") }),
    v.object({ ...before.fields, added: v.string() }),
    v.object({ ...before.fields, b: v.number() }),
    v.object({ ...before.fields, kind: v.literal("y") }),
    v.object({ ...before.fields, a: v.id("users") }),
  ];
  for (const validator of narrower) assert.ok(!covers(json(validator), json(before)));
  assert.ok(covers(json(v.string()), json(v.id("users"))));
  assert.ok(!covers(json(v.object({})), json(v.any())));
});

const tables = new Map([[10001, "users"], [10002, "posts"]]);
const ids = [...tables.keys()].map((table) => generateId(table, new Uint8Array(14), 0));

const { validator: arbitraryValidator } = fc.letrec<{ validator: AnyValidator }>((tie) => ({
  validator: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.constantFrom<AnyValidator>(
      v.string(),
      v.number(),
      v.int64(),
      v.null(),
      v.boolean(),
      v.any(),
      v.id("users"),
      v.id("posts"),
      v.literal("a"),
      v.literal(1),
      v.literal(1n),
    ),
    fc.array(tie("validator"), { maxLength: 3 }).map((members) => v.union(...members)),
    tie("validator").map((element) => v.array(element)),
    tie("validator").map((value) => v.record(v.string(), value)),
    fc.dictionary(
      fc.constantFrom("a", "b", "toString"),
      fc.tuple(tie("validator"), fc.boolean()),
      { maxKeys: 3, noNullPrototype: true },
    ).map((fields) =>
      v.object(Object.fromEntries(
        Object.entries(fields).map(([name, [field, optional]]) => [
          name,
          optional ? v.optional(field) : field,
        ]),
      ))
    ),
  ) as fc.Arbitrary<AnyValidator>,
}));

/** Values of which many satisfy many of the validators. */
const { value: arbitraryValue } = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom<Value>("a", 1, 1n, null, true, ids[0]!, ids[1]!),
    fc.array(tie("value"), { maxLength: 2 }),
    fc.dictionary(fc.constantFrom("a", "b", "toString"), tie("value"), {
      maxKeys: 3,
      noNullPrototype: true,
    }),
  ) as fc.Arbitrary<Value>,
}));

Deno.test("covers(): what satisfies the narrow validator satisfies the wide one", () => {
  const tableName = (table: number) => tables.get(table);
  fc.assert(
    fc.property(
      arbitraryValidator,
      arbitraryValidator,
      fc.array(arbitraryValue, { minLength: 20 }),
      (wide, narrow, values) => {
        const union = v.union(wide, narrow);
        for (const [a, b] of [[wide, narrow], [union, narrow], [wide, union]] as const) {
          if (!covers(json(a), json(b))) continue;
          const [first, second] = [parseValidator(json(a)), parseValidator(json(b))];
          for (const value of values) {
            assert.ok(!second.matches(value, tableName) || first.matches(value, tableName));
          }
        }
        assert.ok(covers(json(union), json(narrow)));
        assert.ok(covers(json(narrow), json(narrow)));
      },
    ),
    { numRuns: 300 },
  );
});
