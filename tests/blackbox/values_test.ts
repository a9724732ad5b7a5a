/** Values, documents, ids and validators, each rule with its limit and its text. */
import assert from "node:assert/strict";
import { encodeId } from "../../src/values/document_id.ts";
import { api } from "../support/api.ts";
import { appServer } from "../support/app_server.ts";
import { postJson } from "../support/http.ts";
import { errors, read, write, writeBoth } from "../support/steps.ts";

const { test } = appServer({ app: "tests/fixtures/values" });
const learnMore =
  "To learn about Convex's supported types, see https://docs.convex.dev/using/types.";
const underscore = "starts with an underscore, which is only allowed for system fields like '_id'";

/** `value` inside of that many arrays. */
function nested(depth: number, value: unknown = 1): unknown {
  return depth === 0 ? value : [nested(depth - 1, value)];
}

test("semantics 4.1, http-api 106: every kind of value survives in a document", async ({ clients }) => {
  const values = {
    null: null,
    int64: [0n, -1n, 2n ** 63n - 1n, -(2n ** 63n)],
    float64: [0, -0, 1.5, 5e-324, 1.7976931348623157e308, NaN, Infinity, -Infinity],
    boolean: [true, false],
    string: ["", "a\0b", "ü", "😀", "\uffff", '{"$integer":"AQ=="}'],
    bytes: [new ArrayBuffer(0), Uint8Array.of(0, 255, 128).buffer],
    array: [[], [[]]],
    object: { "": 1, "with space": { "~": 2 }, nested: {} },
  };
  const client = clients.http();
  const [id, own] = await writeBoth(client, ["insert", "items", values], ["get", "<0>"]);
  const [stored] = await read(client, ["get", id!.value]);
  for (const document of [own!.value, stored!.value]) {
    const { _id, _creationTime, ...fields } = document;
    assert.deepStrictEqual(fields, values);
    assert.equal(_id, id!.value);
  }
});

test("http-api 103, rule 83: what JSON has no form for crosses HTTP encoded, both ways", async ({ clients, server }) => {
  const vectors: readonly (readonly [unknown, Record<string, string>])[] = [
    [1n, { $integer: "AQAAAAAAAAA=" }],
    [-1n, { $integer: "//////////8=" }],
    [0n, { $integer: "AAAAAAAAAAA=" }],
    [2n ** 63n - 1n, { $integer: "/////////38=" }],
    [-(2n ** 63n), { $integer: "AAAAAAAAAIA=" }],
    [NaN, { $float: "AAAAAAAA+H8=" }],
    [Infinity, { $float: "AAAAAAAA8H8=" }],
    [-Infinity, { $float: "AAAAAAAA8P8=" }],
    [-0, { $float: "AAAAAAAAAIA=" }],
    [Uint8Array.of(0x00, 0x10, 0x83).buffer, { $bytes: "ABCD" }],
    [new ArrayBuffer(0), { $bytes: "" }],
  ];
  const values = vectors.map(([value]) => value);
  const encoded = vectors.map(([, form]) => form);
  const { body } = await postJson(`${server.url}/api/query`, {
    path: "validators:take",
    args: { any: encoded },
    format: "convex_encoded_json",
  });
  assert.deepEqual(body.value, { any: encoded });
  // The client writes and reads the encoded form by itself.
  assert.deepStrictEqual(await clients.http().query(api.validators.take, { any: values }), {
    any: values,
  });
});

test("semantics 19, 20: names that begin with an underscore are reserved at the top alone", async ({ clients }) => {
  const outcomes = await writeBoth(
    clients.http(),
    ["insert", "items", { _foo: 1 }],
    ["insert", "items", { _b: 1, _a: "x" }],
    ["insert", "items", { a: { _foo: 1 } }],
    ["patch", "<2>", { _foo: 1 }],
    ["replace", "<2>", { _foo: 1 }],
  );
  const [one, two, nested, patched, replaced] = errors(outcomes);
  assert.equal(
    one,
    `Document(value: {_foo: 1.0}) isn't a valid document: Field '_foo' ${underscore}`,
  );
  assert.equal(
    two,
    `Document(value: {_a: "x", _b: 1.0}) isn't a valid document: ` +
      `Field '_a' ${underscore}\n Field '_b' ${underscore}`,
  );
  assert.equal(nested, null);
  assert.ok(patched?.endsWith(underscore) && replaced?.endsWith(underscore));
});

test("semantics 21, 23-25, http-api 108: names, lengths and depths that no value has", async ({ clients }) => {
  const longName = "n".repeat(1025);
  const fields = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, n) => [`f${n}`, n]));
  const client = clients.http();
  // No client sends these, so the function makes them.
  const refused: readonly (readonly [string, string])[] = [
    ["dollar", "Field name $x starts with '$', which is reserved."],
    [
      "control",
      "Field name a\tb has invalid character '\t': Field names can only contain non-control ASCII characters",
    ],
    [
      "umlaut",
      "Field name ü has invalid character 'ü': Field names can only contain non-control ASCII characters",
    ],
    ["long", `Field name is too long (${longName.length} > maximum 1024)`],
    ["array", "Array length is too long (8193 > maximum length 8192)"],
    ["object", "Object has too many fields (1025 > maximum number 1024)"],
    ["deep", "Value is too nested (nested 65 levels deep > maximum nesting 64)"],
  ];
  for (const [what, text] of refused) {
    await assert.rejects(client.mutation(api.made.insert, { what }), {
      message: new RegExp(escape(text)),
    });
  }
  const outcomes = await writeBoth(
    client,
    ["insert", "items", { a: Array(8192).fill(null) }],
    ["insert", "items", fields(1022)],
    ["insert", "items", fields(1023)],
    ["insert", "items", { a: nested(15) }],
    ["insert", "items", { a: nested(16) }],
    ["insert", "items", { ["n".repeat(1024)]: 1 }],
  );
  assert.deepEqual(errors(outcomes), [
    null,
    null,
    "Object has too many fields (1025 > maximum number 1024)",
    null,
    "Document is too nested (nested 17 levels deep > maximum nesting 16)",
    null,
  ]);
});

test("semantics 22, http-api 109: a document may have 1 MiB to the byte, and not one more", async ({ clients }) => {
  const MiB = 1024 * 1024;
  const client = clients.http();
  // Beside the text: the object 2, _id 4 + 2 + 32, _creationTime 14 + 9, the field's name and the text's own 2.
  const [probe] = await write(client, ["insert", "items", { a: "" }]);
  const overhead = 2 + 4 + 2 + probe!.value.length + 14 + 9 + 2 + 2;
  const outcomes = await write(
    client,
    ["insert", "items", { a: "x".repeat(MiB - overhead) }],
    ["insert", "items", { a: "x".repeat(MiB - overhead + 1) }],
    ["insert", "items", { a: "x".repeat(MiB + MiB / 4 - overhead) }],
    ["delete", "<0>"],
  );
  assert.deepEqual(errors(outcomes), [
    null,
    "Value is too large (1.00 MiB > maximum size 1 MiB)",
    "Value is too large (1.25 MiB > maximum size 1 MiB)",
    null,
  ]);
});

test("semantics 4.1: what is no value is refused by where it stands", async ({ clients }) => {
  const outcomes = await writeBoth(
    clients.http(),
    ["insert", "items", { a: "<function>" }],
    ["insert", "items", { a: "<map>" }],
    ["insert", "items", { a: { b: ["<date>"] } }],
    ["insert", "items", { a: ["<undefined>"] }],
    ["insert", "items", { a: "<too large>" }],
    ["insert", "items", { a: "<undefined>" }],
  );
  assert.deepEqual(errors(outcomes), [
    `Function "[Function]" is not a supported Convex type (present at path .a in original object {"a":"[Function]"}). ${learnMore}`,
    `Map[["k",1]] is not a supported Convex type (present at path .a in original object {"a":{}}). ${learnMore}`,
    `Date "1970-01-01T00:00:00.000Z" is not a supported Convex type (present at path .a.b[0] in original object {"a":{"b":["1970-01-01T00:00:00.000Z"]}}). ${learnMore}`,
    `undefined is not a valid Convex value (present at path .a[0] in original object {"a":["undefined"]}). ${learnMore}`,
    "BigInt 9223372036854775808 does not fit into a 64-bit signed integer.",
    null,
  ]);
});

test("semantics 26-29: what the host gives a document stays", async ({ clients }) => {
  const client = clients.http();
  const [first, second, , , otherId, otherTime, suppliedId, patched] = await writeBoth(
    client,
    ["insert", "items", { a: 1 }],
    ["insert", "items", { a: 2 }],
    ["get", "<0>"],
    ["replace", "<0>", "<2>"],
    ["replace", "<0>", { _id: "other", a: 1 }],
    ["replace", "<0>", { _creationTime: 1 }],
    ["insert", "items", { _id: "other" }],
    ["patch", "<0>", { a: 5 }],
    ["replace", "<0>", { b: 6 }],
  );
  assert.deepEqual(errors([first!, second!, patched!]), [null, null, null]);
  assert.equal(
    otherId!.error,
    `Provided document ID ${first!.value} doesn't match '_id' field "other"`,
  );
  assert.match(
    otherTime!.error!,
    /^Provided creation time \d+\.\d+ doesn't match '_creationTime' field in \{_creationTime: 1\.0\}$/,
  );
  assert.match(
    suppliedId!.error!,
    /^Provided document ID \w{31,37} doesn't match '_id' field "other"$/,
  );

  const outcomes = await write(
    client,
    ["insert", "items", { a: 1 }],
    ["insert", "items", { a: 2 }],
    ["get", "<0>"],
    ["get", "<1>"],
    ["patch", "<0>", { a: 5 }],
    ["replace", "<0>", { b: 6 }],
    ["get", "<0>"],
  );
  const [, , before, next, , , after] = outcomes.map(({ value }) => value);
  assert.equal(next._creationTime, nextUp(before._creationTime));
  assert.deepEqual(after, { _id: before._id, _creationTime: before._creationTime, b: 6 });
});

function nextUp(value: number): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  view.setBigUint64(0, view.getBigUint64(0) + 1n);
  return view.getFloat64(0);
}

test("semantics 30, http-api 114: an id with one character changed is none", async ({ clients }) => {
  const client = clients.http();
  const [{ value: id }] = await write(client, ["insert", "items", {}]) as [{ value: string }];
  assert.match(id, /^[0-9a-z]{31,37}$/);
  const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
  const altered = [...id].map((character, n) => {
    const other = alphabet[(alphabet.indexOf(character) + 1 + n % 30) % 32]!;
    return id.slice(0, n) + other + id.slice(n + 1);
  });
  const outcomes = await read(client, ...altered.map((id) => ["get", id]));
  for (const error of errors(outcomes)) {
    assert.match(error!, /^Invalid argument `id` for `db\.get`: Unable to decode ID: /);
  }
});

test("function-abi 16-20: ids of other tables, and what is no id", async ({ clients }) => {
  const unknownTable = encodeId(9999, new Uint8Array(16));
  const outcomes = await writeBoth(
    clients.http(),
    ["insert", "items", {}],
    ["get", "abc"],
    ["get", "typed", "<0>"],
    ["system.get", "<0>"],
    ["get", "items", "<0>"],
    ["get", "x".repeat(31)],
    ["get", unknownTable],
    ["patch", "typed", "<0>", {}],
    ["replace", "typed", "<0>", {}],
    ["delete", "typed", "<0>"],
    ["table.get", "items", "<0>"],
    ["table.patch", "items", "<0>", { a: 1 }],
    ["table.get", "typed", "<0>"],
  );
  const wrapped = (method: string, cause: string) =>
    `Invalid argument \`id\` for \`${method}\`: ${cause}`;
  const mismatch = `expected to be an Id<"typed">, got Id<"items"> instead.`;
  assert.deepEqual(errors(outcomes.slice(1)), [
    wrapped("db.get", "Unable to decode ID: Invalid ID length 3"),
    wrapped("db.get", mismatch),
    "User tables cannot be accessed with db.system.",
    null,
    wrapped("db.get", "Unable to decode ID: ID wasn't valid base32"),
    null,
    wrapped("db.patch", mismatch),
    wrapped("db.replace", mismatch),
    wrapped("db.delete", mismatch),
    null,
    null,
    wrapped("db.get", mismatch),
  ]);
  assert.equal(outcomes[6]!.value, null);
});

test("function-abi 21, 22: where and what cannot be inserted", async ({ clients }) => {
  const outcomes = await writeBoth(
    clients.http(),
    ["insert", "_foo", {}],
    ["insert", "_storage", {}],
    ["insert", "items", 5],
    ["insert", "items", [1]],
    ["insert", "items", null],
    ["insert", "bad-name", {}],
    ["insert", "", {}],
    ["insert", "1a", {}],
    ["insert", "x".repeat(65), {}],
    ["insert", "items", "<undefined>"],
    ["replace", "abc", {}],
  );
  const readOnly = "System tables (prefixed with `_`) are read-only.";
  const noObject = "Invalid argument `value` for `db.insert`: Value must be an Object";
  const name = "Invalid argument `table` for `db.insert`: ";
  assert.deepEqual(errors(outcomes), [
    readOnly,
    readOnly,
    noObject,
    noObject,
    noObject,
    `${name}Identifier bad-name has invalid character '-': Identifiers can only contain alphanumeric characters or underscores`,
    `${name}Identifier cannot be empty`,
    `${name}Invalid first character '1' in 1a: Identifiers must start with an alphabetic character or underscore`,
    `${name}Identifier is too long (65 > maximum 64)`,
    "Must provide arg 2 `value` to `insert`",
    "Invalid argument `id` for `db.replace`: Unable to decode ID: Invalid ID length 3",
  ]);
});

test("function-abi 23-27: patch merges at the top alone; nothing changes what is gone", async ({ clients }) => {
  const outcomes = await writeBoth(
    clients.http(),
    ["insert", "items", { a: 1, b: { x: 1, y: 2 } }],
    ["patch", "<0>", { a: "<undefined>", b: { x: 3 } }],
    ["get", "<0>"],
    ["delete", "<0>"],
    ["get", "<0>"],
    ["patch", "<0>", {}],
    ["replace", "<0>", {}],
    ["delete", "<0>"],
  );
  const [inserted, , merged, , gone, ...late] = outcomes;
  const { _id, _creationTime, ...fields } = merged!.value;
  assert.deepEqual(fields, { b: { x: 3 } });
  assert.equal(gone!.value, null);
  assert.deepEqual(errors(late), [
    `Update on nonexistent document ID ${inserted!.value}`,
    `Replace on nonexistent document ID ${inserted!.value}`,
    `Delete on nonexistent document ID ${inserted!.value}`,
  ]);
});

test("function-abi 28: a write that changes nothing is no write", async ({ clients }) => {
  const outcomes = await writeBoth(
    clients.http(),
    ["insert", "items", { a: 1, b: NaN }],
    ["metrics"],
    ["patch", "<0>", { a: 1, b: NaN }],
    ["patch", "<0>", {}],
    ["get", "<0>"],
    ["replace", "<0>", "<4>"],
    ["metrics"],
  );
  const written = [outcomes[1], outcomes[6]].map((outcome) => outcome!.value.documentsWritten.used);
  assert.deepEqual(written, [1, 1]);
});

test("function-abi 29, 30: normalizeId knows tables by their names", async ({ clients }) => {
  const outcomes = await writeBoth(
    clients.http(),
    ["insert", "items", {}],
    ["normalizeId", "items", "<0>"],
    ["normalizeId", "typed", "<0>"],
    ["normalizeId", "missing", "<0>"],
    ["normalizeId", "items", "garbage"],
    ["system.normalizeId", "_storage", "<0>"],
    ["system.normalizeId", "_tables", "<0>"],
    ["normalizeId", "_storage", "<0>"],
    ["system.normalizeId", "items", "<0>"],
    ["normalizeId", "bad-name", "<0>"],
  );
  const [id, same, ...others] = outcomes.map(({ value }) => value);
  assert.equal(same, id);
  assert.deepEqual(others.slice(0, 5), [null, null, null, null, null]);
  assert.deepEqual(errors(outcomes.slice(7)), [
    "System tables can only be accessed from db.system.normalizeId().",
    "User tables can only be accessed from db.normalizeId().",
    "Invalid argument `table` for `db.normalizeId`: Identifier bad-name has invalid character '-': Identifiers can only contain alphanumeric characters or underscores",
  ]);
});

test("semantics 44, 46: the schema binds the tables it names, and no others", async ({ clients }) => {
  const outcomes = await writeBoth(
    clients.http(),
    ["insert", "typed", { n: "one" }],
    ["insert", "typed", { n: 1 }],
    ["patch", "<1>", { extra: 1 }],
    ["insert", "undeclared", { whatever: ["goes"] }],
    ["delete", "<1>"],
  );
  const refusal =
    'Failed to insert or update a document in table "typed" because it does not match the schema: ';
  const validator =
    'Validator: v.object({items: v.optional(v.array(v.id("items"))), n: v.float64()})';
  assert.deepEqual(errors(outcomes), [
    `${refusal}Value does not match validator.\nPath: .n\nValue: "one"\nValidator: v.float64()`,
    null,
    `${refusal}Object contains extra field \`extra\` that is not in the validator.\n\nObject: {extra: 1.0, n: 1.0}\n${validator}`,
    null,
    null,
  ]);
});

interface ValidatorCase {
  readonly kind: string;
  readonly good: readonly unknown[];
  readonly bad: unknown;
  /** After `ArgumentValidationError: `; `PATH` stands for where the value is. */
  readonly text: string;
}

const mismatch = (value: string, validator: string, path = "") =>
  `Value does not match validator.\nPath: PATH${path}\nValue: ${value}\nValidator: ${validator}`;
const person = "age: v.float64(), email: v.optional(v.string()), name: v.string()";

const validatorCases: readonly ValidatorCase[] = [
  { kind: "id", good: [], bad: "abc", text: mismatch('"abc"', 'v.id("items")') },
  { kind: "null", good: [null], bad: false, text: mismatch("false", "v.null()") },
  { kind: "int64", good: [5n], bad: 5, text: mismatch("5.0", "v.int64()") },
  { kind: "number", good: [1.5, NaN, -0], bad: 5n, text: mismatch("5", "v.float64()") },
  { kind: "boolean", good: [true], bad: null, text: mismatch("null", "v.boolean()") },
  { kind: "string", good: ["", "ü"], bad: 1e16, text: mismatch("1e16", "v.string()") },
  { kind: "bytes", good: [new ArrayBuffer(2)], bad: "AA==", text: mismatch('"AA=="', "v.bytes()") },
  {
    kind: "literal",
    good: ["a"],
    bad: 'say "b"\n',
    text: '`"say \\"b\\"\\n"` does not match literal validator `v.literal("a")`.Path: PATH',
  },
  {
    kind: "numberLiteral",
    good: [1],
    bad: 1n,
    text: "`1` does not match literal validator `v.literal(1.0)`.Path: PATH",
  },
  {
    kind: "bigintLiteral",
    good: [1n],
    bad: 1,
    text: "`1.0` does not match literal validator `v.literal(<bigint>)`.Path: PATH",
  },
  {
    kind: "booleanLiteral",
    good: [true],
    bad: false,
    text: "`false` does not match literal validator `v.literal(true)`.Path: PATH",
  },
  {
    kind: "array",
    good: [[], [{ b: "x" }]],
    bad: [{ b: "x" }, { b: 1 }],
    text: mismatch("1.0", "v.string()", "[1].b"),
  },
  {
    kind: "object",
    good: [{ name: "x", age: 1 }, { name: "x", age: 1, email: "e" }],
    bad: { age: 1, more: 1 },
    text: "Object is missing the required field `name`. Consider wrapping the field validator in " +
      "`v.optional(...)` if this is expected.\nPath: PATH\nObject: {age: 1.0, more: 1.0}\n" +
      `Validator: v.object({${person}})`,
  },
  {
    kind: "record",
    good: [{}, { a: 1n, "any name": 2n }],
    bad: { a: 1n, b: "x" },
    text: mismatch('"x"', "v.int64()", ".values()"),
  },
  {
    kind: "recordOfIds",
    good: [{}],
    bad: { a: 1 },
    text: mismatch('"a"', 'v.id("items")', ".keys()"),
  },
  {
    kind: "union",
    good: ["x", 1],
    bad: [1n, new ArrayBuffer(1)],
    text: mismatch('[1, b"AA=="]', "v.union(v.string(), v.float64())"),
  },
  {
    kind: "nullable",
    good: [null, "x"],
    bad: 1,
    text: mismatch("1.0", "v.union(v.string(), v.null())"),
  },
  { kind: "commitTs", good: [5n], bad: 5, text: mismatch("5.0", "v.commitTs()") },
  {
    kind: "picked",
    good: [{ name: "x" }],
    bad: { name: "x", age: 1 },
    text: "Object contains extra field `age` that is not in the validator.\nPath: PATH\n" +
      'Object: {age: 1.0, name: "x"}\nValidator: v.object({name: v.string()})',
  },
  {
    kind: "omitted",
    good: [{ age: 1 }],
    bad: { age: "x" },
    text: mismatch('"x"', "v.float64()", ".age"),
  },
  {
    kind: "extended",
    good: [{ name: "x", age: 1, tall: false }],
    bad: { name: "x", age: 1, tall: null },
    text: mismatch("null", "v.boolean()", ".tall"),
  },
  {
    kind: "partial",
    good: [{}, { age: 1 }],
    bad: { email: null },
    text: mismatch("null", "v.string()", ".email"),
  },
];

test("semantics 50, 52, 53: every validator takes its values, and tells of others where they are", async ({ clients }) => {
  const client = clients.http();
  for (const { kind, good, bad, text } of validatorCases) {
    for (const value of good) {
      assert.deepStrictEqual(await client.query(api.validators.take, { [kind]: value }), {
        [kind]: value,
      });
    }
    await fails(
      client.query(api.validators.take, { [kind]: bad }),
      `ArgumentValidationError: ${text.replace("PATH", `.${kind}`)}`,
    );
  }
  assert.deepEqual(await client.query(api.validators.take, { any: [1n, null] }), {
    any: [1n, null],
  });
});

test("semantics 54: the same texts for results, and a mutation leaves nothing", async ({ clients }) => {
  const client = clients.http();
  for (const { kind, good, bad, text } of validatorCases) {
    for (const value of good) {
      const result = { [kind]: value };
      assert.deepStrictEqual(await client.query(api.validators.give, { result }), result);
    }
    await fails(
      client.query(api.validators.give, { result: { [kind]: bad } }),
      `ReturnsValidationError: ${text.replace("PATH", `.${kind}`)}`,
    );
  }
  await fails(
    client.mutation(api.validators.giveAfterWriting, { name: "unreturned" }),
    'ReturnsValidationError: Value does not match validator.\n\nValue: "not null"\nValidator: v.null()',
  );
  const [items] = await read(client, ["query", {
    table: "items",
    filters: [["eq", ["field", "name"], ["literal", "unreturned"]]],
  }]);
  assert.deepEqual(items!.value, []);
});

test("semantics 48, 49: what is missing is told before what is too much", async ({ clients }) => {
  const client = clients.http();
  const validator = "Validator: v.object({a: v.string(), b: v.string()})";
  const missing = (field: string, object: string) =>
    `ArgumentValidationError: Object is missing the required field \`${field}\`. Consider wrapping ` +
    "the field validator in `v.optional(...)` if this is expected.\n\n" +
    `Object: ${object}\n${validator}`;
  const call = (args: object) => client.query(api.validators.twoFields, args as never);
  await fails(call({}), missing("a", "{}"));
  await fails(call({ a: "x", z: 1, c: 2 }), missing("b", '{a: "x", c: 2.0, z: 1.0}'));
  await fails(
    call({ a: "x", b: "y", z: 1, c: 2 }),
    "ArgumentValidationError: Object contains extra field `c` that is not in the validator.\n\n" +
      `Object: {a: "x", b: "y", c: 2.0, z: 1.0}\n${validator}`,
  );
});

test("semantics 51, http-api 113: an id of another table is told by that table's name", async ({ clients }) => {
  const client = clients.http();
  const [own, other] = await write(
    client,
    ["insert", "items", {}],
    ["insert", "typed", { n: 1 }],
  );
  const take = (id: string) => client.query(api.validators.take, { id });
  assert.deepEqual(await take(own!.value), { id: own!.value });
  await fails(
    take(other!.value),
    `ArgumentValidationError: Found ID "${
      other!.value
    }" from table \`typed\`, which does not match ` +
      'the table name in validator `v.id("items")`.Path: .id',
  );
  await write(client, ["delete", own!.value]);
  assert.deepEqual(await take(own!.value), { id: own!.value }, "whether it exists is not asked");
});

test("http-api 113: v.id() takes an id as it was given out, and no other spelling of it", async ({ clients }) => {
  const client = clients.http();
  const [{ value: id }] = await write(client, ["insert", "items", {}]) as [{ value: string }];
  assert.deepEqual(await client.query(api.validators.take, { id }), { id });
  for (const other of [id.toUpperCase(), `${id}0`, `0${id}`, `${id}=`, ` ${id}`]) {
    await fails(
      client.query(api.validators.take, { id: other }),
      `ArgumentValidationError: Value does not match validator.\nPath: .id\nValue: "${other}"\n` +
        'Validator: v.id("items")',
    );
  }
});

test("semantics 8.2: a call has one argument, and that is an object", async ({ server }) => {
  const message = async (args: unknown) => {
    const { body } = await postJson(`${server.url}/api/query`, {
      path: "validators:twoFields",
      args,
    });
    return body.errorMessage.split("Server Error\n")[1].trim();
  };
  assert.equal(
    await message([{ a: 1 }, null]),
    "ArgumentValidationError: Expected to receive a single object as the function's argument. " +
      "Instead received 2 arguments: [{a: 1.0}, null]",
  );
  assert.equal(
    await message([[1]]),
    "ArgumentValidationError: Expected to receive an object as the function's argument. " +
      "Instead received: [1.0]",
  );
});

test("function-abi 4.8: a commit timestamp is a placeholder until the mutation commits", async ({ clients }) => {
  const placeholder = "<commit timestamp>";
  const client = clients.http();
  const events = (step: object) => ["query", { table: "events", ...step }];
  await write(client, ["insert", "events", { name: "latest", at: 2n ** 63n - 1n }]);
  const outcomes = await writeBoth(
    client,
    ["insert", "events", { name: "own", at: placeholder }],
    ["insert", "items", { a: { deep: [placeholder] } }],
    ["patch", "<0>", { name: "own too" }],
    events({ index: "by_at", range: [["eq", "at", placeholder]] }),
    events({ index: "by_at", range: [["gte", "at", placeholder]] }),
    ["query", { table: "items", index: "by_a", range: [["eq", "a", { deep: [placeholder] }]] }],
    ["insert", "typed", { n: placeholder }],
  );
  const names = (step: number) => outcomes[step]!.value.map(({ name }: { name: string }) => name);
  assert.deepEqual([names(3), names(4)], [["own too"], ["own too"]]);
  const { _id, _creationTime, ...returned } = outcomes[3]!.value[0];
  assert.equal(typeof returned.at, "bigint", "the result has the commit's timestamp");
  assert.match(
    outcomes[6]!.error!,
    /Value: \[unresolved commit timestamp\]\nValidator: v\.float64/,
  );

  const [stored, items] = await read(
    client,
    events({ index: "by_at", range: [["eq", "at", returned.at]] }),
    ["query", { table: "items", index: "by_a", range: [["eq", "a", { deep: [returned.at] }]] }],
  );
  assert.deepEqual(stored!.value.map(({ at }: { at: bigint }) => at), [returned.at]);
  assert.equal(items!.value.length, 1);

  const [filtered] = await write(
    client,
    events({
      filters: [["eq", ["field", "at"], ["literal", placeholder]]],
    }),
  );
  assert.match(filtered!.error!, /cannot be used in filters/);
});

test("function-abi 4.8: commit timestamps have the order of commits", async ({ clients, server }) => {
  const times: bigint[] = [];
  await Promise.all(Array.from({ length: 20 }, async (_, n) => {
    const client = clients.http();
    const step = ["insert", "events", { name: `${server.url} ${n}`, at: "<commit timestamp>" }];
    const [, event] = await write(client, step, ["get", "<0>"]);
    times.push(event!.value.at);
  }));
  const [all] = await read(clients.http(), ["query", {
    table: "events",
    index: "by_at",
    filters: [["gte", ["field", "name"], ["literal", server.url]]],
  }]);
  const stored = all!.value.map(({ at }: { at: bigint }) => at)
    .filter((at: bigint) => times.includes(at));
  assert.deepEqual(stored, times.toSorted((a, b) => a < b ? -1 : 1));
  assert.equal(new Set(times).size, 20);
});

test("function-abi 4.8: mutations pass their timestamp on; queries and jobs cannot wait for it", async ({ clients }) => {
  const placeholder = "<commit timestamp>";
  const newest = ["query", { table: "events", index: "by_at", order: "desc", take: 1 }];
  const outcomes = await write(
    clients.http(),
    ["runMutation", ["insert", "events", { name: "nested", at: placeholder }], newest],
    ["runQuery", newest],
    ["runQuery", ["query", {
      table: "events",
      index: "by_at",
      range: [["eq", "at", placeholder]],
    }]],
    ["schedule", ["insert", "events", { name: "later", at: placeholder }]],
  );
  const [nested, read] = outcomes.map(({ value }) => value);
  const [, inner] = nested;
  assert.equal(typeof inner.value[0].at, "bigint");
  assert.deepEqual(read[0].value, inner.value);
  assert.match(outcomes[2]!.error!, /cannot be used in arguments of queries/);
  assert.match(outcomes[3]!.error!, /cannot be used in arguments of scheduled functions/);
});

test("function-abi 4.8: many may write their timestamps into one document at once", async ({ clients }) => {
  const client = clients.http();
  const [{ value: id }] = await write(client, ["insert", "items", { n: 0 }]) as [{ value: string }];
  const writers = Array.from({ length: 60 }, (_, n) => n);
  const times: bigint[] = await Promise.all(writers.map(async (n) => {
    const step = ["patch", id, { n, at: "<commit timestamp>" }];
    const outcomes = await write(clients.http(), ["get", id], step, ["get", id]);
    return outcomes[2]!.value.at;
  }));
  const [document] = await read(client, ["get", id]);
  const last = times.reduce((a, b) => a > b ? a : b);
  assert.deepEqual([document!.value.at, document!.value.n], [last, times.indexOf(last)]);
  assert.equal(new Set(times).size, writers.length);
});

/** The call fails with exactly this text behind the request id. */
async function fails(call: Promise<unknown>, text: string): Promise<void> {
  await assert.rejects(call, (error: Error) => {
    assert.equal(error.message.split("Server Error\n")[1]?.trimEnd(), text);
    return true;
  });
}

function escape(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
