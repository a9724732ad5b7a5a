/** Queries, index ranges, filters, system tables, and the system calls beneath them, with their texts. */
import assert from "node:assert/strict";
import { encodeId } from "../../src/values/document_id.ts";
import { api } from "../support/api.ts";
import { appServer } from "../support/app_server.ts";
import { errors, read, write, writeBoth, writeThroughLibrary } from "../support/steps.ts";

const { test } = appServer({ app: "tests/fixtures/values" });

const items = (query: object) => ["query", { table: "items", ...query }];
const names = (documents: { name: string }[]) => documents.map(({ name }) => name);

test("semantics 31-35: an index has the order of all values, and its reverse", async ({ clients }) => {
  const ordered = [
    "<undefined>",
    null,
    -(2n ** 63n),
    -1n,
    5n,
    -Infinity,
    -1,
    -0,
    0,
    1,
    Infinity,
    NaN,
    false,
    true,
    "",
    "a",
    "é",
    "\uffff",
    "😀",
    new ArrayBuffer(1),
    [],
    [1],
    [1, 2],
    {},
    { a: 1 },
    { a: 1, b: 1 },
    { b: 0 },
  ];
  const inserts = ordered.map((a, n) => ["insert", "items", { a, n }] as const)
    .toSorted(([, , x], [, , y]) => (x.n * 7) % ordered.length - (y.n * 7) % ordered.length);
  const outcomes = await writeBoth(
    clients.http(),
    ["clear", "items"],
    ...inserts,
    ["insert", "items", { a: 5n, n: 4 }],
    items({ index: "by_a" }),
    items({ index: "by_a", order: "desc" }),
  );
  const [ascending, descending] = outcomes.slice(-2).map(({ value }) => value);
  const wanted = ordered.map((_, n) => n).toSpliced(4, 0, 4);
  assert.deepEqual(ascending.map(({ n }: { n: number }) => n), wanted);
  assert.deepEqual(descending, ascending.toReversed());
  const ties = ascending.filter(({ n }: { n: number }) => n === 4);
  assert.ok(ties[0]._creationTime < ties[1]._creationTime, "ties are in the order of creation");
});

test("function-abi 35, 39-41: ranges with every bound", async ({ clients }) => {
  const outcomes = await writeBoth(
    clients.http(),
    ["clear", "items"],
    ...["<undefined>", null, 4n, 4, 5, 6, "x"].map((
      a,
    ) => ["insert", "items", { a, b: 1, name: a === "<undefined>" ? "missing" : String(a) }]),
    items({ index: "by_a_b", range: [["eq", "b", 1], ["eq", "a", 5]] }),
    items({ index: "by_a", range: [["eq", "a", "<undefined>"]] }),
    items({ index: "by_a", range: [["eq", "a", null]] }),
    items({ index: "by_a", range: [["lt", "a", 5]] }),
    items({ index: "by_a", range: [["lte", "a", 5], ["gt", "a", 4n]] }),
    items({ index: "by_a", range: [["gte", "a", 5]] }),
    items({ index: "by_a", range: [["gt", "a", 5]], order: "desc" }),
    items({ index: "by_a", range: [["gt", "a", 5], ["lt", "a", 5]] }),
    items({ index: "by_a", range: [["eq", "a", 5], ["gt", "_creationTime", 0]] }),
    items({ index: "by_a", range: [["eq", "a", 5], ["lt", "_creationTime", 0]] }),
    items({ index: "by_creation_time", range: [["gt", "_creationTime", 0]], take: 2 }),
    ["get", "<1>"],
    items({ index: "by_id", range: [["eq", "_id", "<1>"]] }),
  );
  const found = outcomes.slice(8, 19).map(({ value }) => names(value));
  assert.deepEqual(found, [
    ["5"],
    ["missing"],
    ["null"],
    ["missing", "null", "4", "4"],
    ["4", "5"],
    ["5", "6", "x"],
    ["x", "6"],
    [],
    ["5"],
    [],
    ["missing", "null"],
  ]);
  assert.deepEqual(outcomes[20]!.value, [outcomes[19]!.value]);
});

test("function-abi 36-38: ranges that an index cannot serve", async ({ clients }) => {
  const outcomes = await writeBoth(
    clients.http(),
    items({ index: "by_a_b", range: [["eq", "b", 2]] }),
    items({ index: "by_a_b", range: [["eq", "a", 1], ["lt", "_creationTime", 0]] }),
    items({ index: "by_a", range: [["gt", "a", 1], ["gte", "a", 0]] }),
    items({ index: "by_a", range: [["lt", "a", 1n], ["lte", "a", "x"]] }),
    items({ index: "by_a", range: [["eq", "a", 1], ["eq", "a", 2]] }),
    items({ index: "by_a", range: [["eq", "a", 1], ["gt", "a", 2]] }),
    items({ index: "by_a_b", range: [["gt", "a", 1], ["lt", "b", 5]] }),
    items({ index: "by_a", range: [["eq", "z", 1]] }),
    items({ index: "by_id", range: [["gt", "_creationTime", 1]] }),
  );
  const outOfOrder = (fields: string, first: string) =>
    "Tried to query index items.by_a_b but the query didn't use the index fields in order.\n" +
    `Index fields: ["a", "b", "_creationTime"]\nQuery fields: [${fields}]\n` +
    `First incorrect field: "${first}"\n` +
    "For more information see https://docs.convex.dev/using/indexes.";
  const defined = (kind: string, bound: string) =>
    `Already defined ${kind} bound in index range. Can't add ${bound}.`;
  const notIndexed = (field: string, index: string, fields: string) =>
    `The index range included a comparison with "${field}", but items.${index} with fields ` +
    `[${fields}] doesn't index this field. For more information see https://docs.convex.dev/using/indexes.`;
  assert.deepEqual(errors(outcomes), [
    outOfOrder('"b"', "b"),
    outOfOrder('"a", "_creationTime"', "_creationTime"),
    defined("lower", '"a" >= 0.0'),
    defined("upper", '"a" <= "x"'),
    defined("equality", '"a" == 1.0'),
    defined("inequality", '"a" == 1.0'),
    "Upper and lower bounds in `range` can only be applied to a single index field. This query against " +
    'index items.by_a_b attempted to set a range bound on both "a" and "b". Consider using `filter` ' +
    "instead. See https://docs.convex.dev/using/indexes for more info.",
    notIndexed("z", "by_a", '"a", "_creationTime"'),
    notIndexed("_creationTime", "by_id", '"_id"'),
  ]);
});

test("function-abi 31, 32, semantics 43: tables and indexes that are not there, or empty", async ({ clients }) => {
  const outcomes = await writeBoth(
    clients.http(),
    ["query", { table: "missing" }],
    items({ index: "nope" }),
    ["query", { table: "missing", index: "by_id" }],
    ["query", { table: "missing", index: "by_creation_time" }],
    ["query", { table: "neverWritten", index: "by_a", range: [["eq", "a", 1]] }],
    ["query", { table: "neverWritten", index: "by_id" }],
    ["query", { table: "bad name" }],
    ["asyncSyscall", "1.0/count", '{"table":"missing"}'],
  );
  assert.deepEqual(errors(outcomes.slice(1, 4)), [
    "Index items.nope not found.",
    "Index missing.by_id not found.",
    "Index missing.by_creation_time not found.",
  ]);
  const found = [0, 4, 5, 6].map((step) => outcomes[step]!.value);
  assert.deepEqual(found, [[], [], [], []]);
  assert.equal(outcomes[7]!.value, "0");
});

const literal = (value: unknown) => ["literal", value];
const field = (path: string) => ["field", path];

/** Filters on the one document `{a: 1, b: 2n, o: {x: 1}, s: "s"}`, and whether it passes or what is wrong. */
const filters: readonly (readonly [filter: unknown, outcome: boolean | string])[] = [
  [["eq", field("missing"), literal("<undefined>")], true],
  [["eq", field("a.x"), literal("<undefined>")], true],
  [["eq", field("o.x"), literal(1)], true],
  [["eq", field("a"), literal(1n)], false],
  [["eq", literal(null), literal("<undefined>")], false],
  [["eq", literal(NaN), literal(NaN)], true],
  [["lt", literal(-0), literal(0)], true],
  [["lt", field("missing"), literal(5)], true],
  [["gt", field("s"), literal(5)], true],
  [["neq", literal({ x: [1n] }), literal({ x: [1n] })], false],
  [["eq", ["add", field("a"), literal(1)], literal(2)], true],
  [["eq", ["sub", literal(5n), field("b")], literal(3n)], true],
  [["eq", ["mul", literal(5n), field("b")], literal(10n)], true],
  [["eq", ["div", literal(-7n), field("b")], literal(-3n)], true],
  [["eq", ["mod", literal(-7), literal(2)], literal(-1)], true],
  [["eq", ["div", literal(1), literal(0)], literal(Infinity)], true],
  [["eq", ["neg", field("b")], literal(-2n)], true],
  [["and"], true],
  [["or"], false],
  [["not", ["or"]], true],
  [["and", literal(false), literal(5)], false],
  [["or", literal(true), literal(5)], true],
  [["add", literal(1n), literal(1)], "Cannot add 1 (type Int64) and 1.0 (type Float64)"],
  [["sub", literal(null), literal([])], "Cannot subtract null (type Null) and [] (type Array)"],
  [
    ["mul", literal("x"), literal(true)],
    'Cannot multiply "x" (type String) and true (type Boolean)',
  ],
  [["div", literal(1n), literal(0n)], "Cannot divide 1 by zero"],
  [["mod", literal(1n), literal(0n)], "Cannot mod 1 by zero"],
  [
    ["add", literal(2n ** 63n - 1n), literal(1n)],
    "Cannot add 9223372036854775807 and 1: the result is out of range for Int64",
  ],
  [
    ["neg", literal(-(2n ** 63n))],
    "Cannot negate -9223372036854775808: the result is out of range for Int64",
  ],
  [["neg", literal("x")], 'Cannot negate "x" (type String)'],
  [field("missing"), "Cannot use value undefined (type Undefined) as a Boolean"],
  [literal(1), "Cannot use value 1.0 (type Float64) as a Boolean"],
  [["not", literal(null)], "Cannot use value null (type Null) as a Boolean"],
  [["and", literal(true), field("o")], "Cannot use value {x: 1.0} (type Object) as a Boolean"],
];

test("function-abi 42-44: filters compare anything, calculate with numbers, and end in a Boolean", async ({ clients }) => {
  const outcomes = await writeBoth(
    clients.http(),
    ["clear", "items"],
    ["insert", "items", { a: 1, b: 2n, o: { x: 1 }, s: "s" }],
    ...filters.map(([filter]) => items({ filters: [filter] })),
  );
  const results = outcomes.slice(2).map(({ value, error }) => error ?? value.length === 1);
  filters.forEach(([filter, outcome], i) => {
    assert.deepEqual(results[i], outcome, Deno.inspect(filter, { depth: 9 }));
  });
});

test("function-abi 45, 46: filtered documents count as read; 256 operators are the most", async ({ clients }) => {
  const never = ["or"];
  const outcomes = await write(
    clients.http(),
    ["clear", "items"],
    ...Array.from({ length: 10 }, (_, n) => ["insert", "items", { n }]),
    ["metrics"],
    items({ filters: [never] }),
    ["metrics"],
    items({ filters: Array(256).fill(["and"]) }),
    items({ filters: Array(257).fill(["and"]) }),
    items({ limit: 3, filters: [["gt", field("n"), literal(1)]] }),
  );
  const [before, , after, most, tooMany, limited] = outcomes.slice(11);
  const used = [before, after].map((outcome) => outcome!.value.documentsRead.used);
  assert.equal(used[1] - used[0], 10);
  assert.equal(most!.value.length, 10);
  assert.equal(tooMany!.error, "Can't construct query with more than 256 operators");
  assert.equal(limited!.value.length, 1, "the limit came first");
});

test("function-abi 47: unique() names both of two documents", async ({ clients }) => {
  const [, first, second, none, one, two] = await writeBoth(
    clients.http(),
    ["clear", "items"],
    ["insert", "items", { a: 1 }],
    ["insert", "items", { a: 1 }],
    items({ index: "by_a", range: [["eq", "a", 0]], end: "unique" }),
    items({ index: "by_id", range: [["eq", "_id", "<1>"]], end: "unique" }),
    items({ index: "by_a", range: [["eq", "a", 1]], end: "unique" }),
  );
  assert.deepEqual([none!.value, one!.value._id], [null, first!.value]);
  assert.equal(
    two!.error,
    "unique() query returned more than one result from table items:\n " +
      `[${first!.value}, ${second!.value}, ...]`,
  );
});

test("function-abi 48-51, 57: pages of a query, and sizes that none has", async ({ clients }) => {
  const client = clients.http();
  const page = (options: object) => items({ page: { cursor: null, ...options } });
  const outcomes = await write(
    client,
    ["clear", "items"],
    ["insert", "items", {}],
    ["insert", "items", {}],
    page({ numItems: 0 }),
    page({ numItems: -1 }),
    page({ numItems: 40_000 }),
    page({ numItems: 2 }),
    page({ numItems: 2 }),
  );
  assert.deepEqual(errors(outcomes.slice(3, 6)), [
    "Must request at least 1 document while paginating",
    "`options.numItems` must be a positive number. Received `-1`.",
    "Requested too many items: 40000",
  ]);
  const [full, second] = outcomes.slice(6);
  assert.deepEqual([full!.value.page.length, full!.value.isDone], [2, false]);
  assert.equal(
    second!.error,
    "This query or mutation function ran multiple paginated queries. Convex only supports a single " +
      "paginated query in each function.",
  );
  const [empty] = await read(client, page({ numItems: 2, cursor: full!.value.continueCursor }));
  assert.deepEqual([empty!.value.page, empty!.value.isDone], [[], true]);
});

test("what is no query is refused where it is written, and can be caught", async ({ clients }) => {
  const outcomes = await write(
    clients.http(),
    items({ order: "up" }),
    items({ limit: -1 }),
    items({ limit: "x" }),
    items({ limit: 1.5 }),
    items({ take: -1 }),
    items({ filters: [["eq", ["field", 5], literal(1)]] }),
    items({ index: "by_a", range: [["eq", "<undefined>", 1]] }),
    items({ limit: 0 }),
  );
  assert.deepEqual(errors(outcomes), [
    'Invalid argument `query`: unknown order "up"',
    "Invalid argument `query`: a limit must be a whole number of documents, not -1",
    "Invalid argument `query`: a limit must be a whole number of documents, not x",
    "Invalid argument `query`: a limit must be a whole number of documents, not 1.5",
    "Arg 1 `n` to `take` must be a non-negative integer",
    "Invalid argument `query`: a field must be named by a string, not 5",
    "Invalid argument `query`: a field must be named by a string, not undefined",
    null,
  ]);
});

test("semantics 93, 94: system tables are read through db.system, by their two indexes", async ({ clients, server }) => {
  const client = clients.http();
  const upload = async (headers: Record<string, string>, body: Uint8Array<ArrayBuffer>) => {
    const response = await fetch(await client.mutation(api.files.uploadUrl), {
      method: "POST",
      headers,
      body,
    });
    return (await response.json()).storageId as string;
  };
  const typed = await upload({ "content-type": "text/plain" }, new TextEncoder().encode("hello"));
  const untyped = await upload({}, new Uint8Array(0));
  const job = await client.mutation(api.files.schedule);
  const [note] = await write(client, ["insert", "items", {}]);
  const system = (query: object) => ["systemQuery", { table: "_storage", ...query }];
  const outcomes = await writeBoth(
    client,
    ["clear", "items"],
    system({ index: "by_creation_time" }),
    system({ order: "desc", take: 1 }),
    system({ filters: [["eq", field("size"), literal(5)]] }),
    system({ page: { numItems: 1, cursor: null } }),
    ["system.get", typed],
    ["system.get", "_storage", typed],
    ["system.get", "_scheduled_functions", typed],
    ["system.normalizeId", "_storage", typed],
    ["system.normalizeId", "_scheduled_functions", typed],
    ["systemQuery", { table: "_scheduled_functions", index: "by_id" }],
    ["systemQuery", { table: "_scheduled_functions", index: "by_x" }],
    ["systemQuery", { table: "_scheduled_functions", index: "by_state" }],
    system({ index: "by_id", range: [["gt", "size", 1]] }),
    ["systemQuery", { table: "_tables" }],
    ["systemQuery", { table: "items" }],
    ["query", { table: "_storage" }],
    ["get", typed],
    ["system.get", note!.value],
  );
  const [, all, newest, filtered, page, got, gotTyped, wrong, own, other, jobs] = outcomes;
  const file = (document: Record<string, unknown>) => {
    const { _id, _creationTime, ...fields } = document;
    assert.equal(typeof _creationTime, "number");
    return { id: _id, ...fields };
  };
  const sha256 = async (text: string) =>
    new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)))
      .toBase64();
  const typedFile = {
    id: typed,
    sha256: await sha256("hello"),
    size: 5,
    contentType: "text/plain",
  };
  const untypedFile = { id: untyped, sha256: await sha256(""), size: 0, contentType: null };
  assert.deepEqual(all!.value.map(file), [typedFile, untypedFile]);
  assert.deepEqual(newest!.value.map(file), [untypedFile]);
  assert.deepEqual(filtered!.value.map(file), [typedFile]);
  assert.deepEqual(page!.value.page.map(file), [typedFile]);
  assert.deepEqual([got, gotTyped].map((outcome) => file(outcome!.value)), [typedFile, typedFile]);
  assert.equal(
    wrong!.error,
    'Invalid argument `id` for `db.system.get`: expected to be an Id<"_scheduled_functions">, got ' +
      'Id<"_storage"> instead.',
  );
  assert.deepEqual([own!.value, other!.value], [typed, null]);
  const [{ _id, name, args, state }] = jobs!.value;
  assert.deepEqual([_id, name, args, state.kind], [job, "files.js:schedule", [{}], "pending"]);
  const side = (side: string, method: string) => `${side} ${method}`;
  assert.deepEqual(errors(outcomes.slice(11)), [
    "Index _scheduled_functions.by_x not found.",
    "Index _scheduled_functions.by_state not found.",
    'The index range included a comparison with "size", but _storage.by_id with fields ["_id"] ' +
    "doesn't index this field. For more information see https://docs.convex.dev/using/indexes.",
    null,
    side("User tables can only be accessed from", "db.query()."),
    side("System tables can only be accessed from", "db.system.query()."),
    "System tables can only be accessed with db.system.",
    "User tables cannot be accessed with db.system.",
  ]);
  assert.ok(server.isRunning);
});

test("function-abi 67-69: files that are gone, ids of other tables, and what is no file", async ({ clients }) => {
  const client = clients.http();
  const missing = encodeId(512 + 28, new Uint8Array(16));
  assert.deepEqual(await client.mutation(api.files.useFile, { id: missing }), [
    null,
    `storage id ${missing} not found`,
  ]);
  const [item] = await write(client, ["insert", "items", {}]);
  const wrong = (method: string) =>
    `Invalid argument \`storageId\` for \`storage.${method}\`: Invalid storage ID. Storage ID cannot ` +
    "be an ID on any table other than '_storage'.";
  assert.deepEqual(await client.mutation(api.files.useFile, { id: item!.value }), [
    wrong("getUrl"),
    wrong("delete"),
  ]);
  await assert.rejects(
    client.action(api.files.storeText),
    /store\(\) expects a Blob\. If you are trying to store a Request, `await request\.blob\(\)` will give you the correct input\./,
  );
});

test("semantics 62, function-abi 18: reading system tables uses index ranges alone", async ({ clients }) => {
  const outcomes = await writeBoth(
    clients.http(),
    ["metrics"],
    ["systemQuery", { table: "_storage" }],
    ["systemQuery", { table: "_scheduled_functions" }],
    ["metrics"],
  );
  const [before, , , after] = outcomes.map(({ value }) => value);
  assert.deepEqual(after, {
    ...before,
    databaseQueries: { used: 2, remaining: before.databaseQueries.remaining - 2 },
  });
});

test("function-abi 1, 3, 4: system calls answer with JSON, and refuse with their texts", async ({ clients }) => {
  const scan = (tableName: string) => ({
    source: { type: "FullTableScan", tableName, order: null },
    operators: [],
  });
  const sync = (name: string, args: unknown) => ["syscall", name, JSON.stringify(args)];
  const async = (name: string, args: unknown) => ["asyncSyscall", name, JSON.stringify(args)];
  const client = clients.http();
  for (const perform of [write, writeThroughLibrary]) {
    await write(client, ["clear", "items"]);
    const outcomes = await perform(
      client,
      ["metrics"],
      async("1.0/insert", { table: "items", value: { a: { $integer: "AQAAAAAAAAA=" } } }),
      sync("1.0/queryStream", { query: scan("items"), version: "1.48.0" }),
      async("1.0/queryStreamNext", { queryId: 0 }),
      async("1.0/queryStreamNext", { queryId: 0 }),
      async("1.0/queryStreamNext", { queryId: 0 }),
      sync("1.0/queryCleanup", { queryId: 0 }),
      sync("1.0/queryStream", { query: scan("items") }),
      sync("1.0/queryCleanup", { queryId: 1 }),
      async("1.0/count", { table: "items" }),
      async("1.0/nope", {}),
      sync("1.0/nope", {}),
      async("constructor", {}),
      sync("toString", {}),
      async("1.0/actions/query", {}),
      ["asyncSyscall", "1.0/get", "{"],
      ["asyncSyscall", "1.0/get", "null"],
      async("1.0/get", {}),
      async("1.0/insert", { table: "items" }),
      async("1.0/insert", { table: "items", value: { a: { $integer: "AA==" } } }),
      sync("1.0/queryStream", { query: { source: { type: "Index" }, operators: [] } }),
      sync("1.0/queryStream", { query: { ...scan("items"), operators: [{ limit: -1 }] } }),
      async("1.0/storageStore", {}),
      async("1.0/auditLog", { body: {} }),
      async("1.0/signJwt", {}),
      sync("1.0/componentArgument", { name: "x" }),
    );
    assert.match(outcomes[1]!.value, /^\{"_id":"\w{31,37}"\}$/);
    assert.match(
      outcomes[3]!.value,
      /^\{"value":\{.*"a":\{"\$integer":"AQAAAAAAAAA="\}\},"done":false\}$/,
    );
    assert.deepEqual(outcomes.slice(2, 3).concat(outcomes.slice(4, 10)), [
      { value: '{"queryId":0}' },
      { value: '{"value":null,"done":true}' },
      { error: "in-progress query not found", name: "Error" },
      { value: "false" },
      { value: '{"queryId":1}' },
      { value: "true" },
      { value: "1" },
    ]);
    const texts = errors(outcomes.slice(10));
    assert.deepEqual(texts.slice(0, 5), [
      "Unknown async operation 1.0/nope",
      "Unknown operation 1.0/nope",
      "Unknown async operation constructor",
      "Unknown operation toString",
      "Unknown async operation 1.0/actions/query",
    ]);
    assert.match(texts[5]!, /^Received invalid json: /);
    assert.deepEqual(texts.slice(6), [
      "Invalid arguments: expected a JSON object, got null",
      "Invalid argument `id` for `db.get`: expected a string, got undefined",
      "A value is missing",
      "Received 1 bytes, expected 8 for $integer",
      'Invalid argument `query`: unknown source "Index"',
      "Invalid argument `query`: a limit must be a whole number of documents, not -1",
      "Can't use storage.store() in queries and mutations. Please consider using an action. See " +
      "https://docs.convex.dev/functions/actions for more details.",
      "Audit logs (`log.audit`) are not available yet",
      "Signing tokens (`ctx.auth.signJwt`) is not available yet",
      "Component arguments are not available within the app",
    ]);
  }
});

test("function-abi 3: a query cannot write, whatever it calls", async ({ clients }) => {
  const inAnHour = Date.now() / 1000 + 3600;
  const call = (name: string, args: unknown) => ["asyncSyscall", name, JSON.stringify(args)];
  const client = clients.http();
  const id = (await write(client, ["insert", "items", {}]))[0]!.value;
  const outcomes = await read(
    client,
    call("1.0/insert", { table: "items", value: {} }),
    call("1.0/shallowMerge", { id, value: {} }),
    call("1.0/replace", { id, value: {} }),
    call("1.0/remove", { id }),
    call("1.0/schedule", { name: "files:schedule", ts: inAnHour, args: [{}] }),
  );
  for (const error of errors(outcomes)) {
    assert.equal(error, "Queries cannot write to the database.");
  }
});

test("function-abi 2: data of a failure arrives as a ConvexError", async ({ clients }) => {
  const page = { numItems: 1, cursor: "garbage" };
  const [outcome] = await writeBoth(clients.http(), items({ page }));
  assert.deepEqual(outcome, {
    name: "ConvexError",
    error:
      "InvalidCursor: Tried to run a query starting from a cursor, but it looks like this cursor is " +
      "from a different query.",
    data: { isConvexSystemError: true, paginationError: "InvalidCursor" },
  });
});

test("function-abi 4, 5: an action has no transaction to measure, by the text that the library knows", async ({ clients }) => {
  await assert.rejects(
    clients.http().action(api.files.metricsInAction),
    /Unknown async operation 1\.0\/getTransactionMetrics/,
  );
});
