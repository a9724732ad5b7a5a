import assert from "node:assert/strict";
import { v } from "convex/values";
import { validatorType } from "./validator_types.ts";

const typeOf = (validator: unknown) =>
  validatorType(JSON.stringify((validator as { json: unknown }).json));

Deno.test("components 4: validatorType() writes what a validator lets through, ids as strings", () => {
  assert.equal(validatorType(null), "any");
  assert.equal(typeOf(v.id("users")), "string");
  assert.equal(typeOf(v.array(v.union(v.null(), v.bytes()))), "Array<null | ArrayBuffer>");
  assert.equal(
    typeOf(v.union(v.literal('a"b'), v.literal(-1.5), v.literal(5n), v.literal(false))),
    `"a\\"b" | -1.5 | 5n | false`,
  );
  assert.equal(
    typeOf(v.object({ "dashed-name": v.optional(v.int64()), plain: v.any() })),
    `{ "dashed-name"?: bigint; plain: any }`,
  );
  assert.equal(typeOf(v.record(v.id("users"), v.float64())), "Record<string, number>");
  assert.equal(typeOf(v.object({})), "{}");
  assert.equal(typeOf(v.union()), "never");
});
