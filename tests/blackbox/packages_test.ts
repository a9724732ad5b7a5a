/** npm packages inside functions: the main feature of each, in the runtime that people use it in. */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { appServer } from "../support/app_server.ts";
import { type FakeServices, startFakeServices } from "../support/fake_services.ts";
import { installedPackages } from "../support/installed_packages.ts";

const { test } = appServer({
  app: "tests/fixtures/packages",
  prepare: async (app) => await Deno.symlink(await installedPackages(), `${app}/node_modules`),
});

let services: FakeServices;
Deno.test.beforeAll(() => {
  services = startFakeServices();
});
Deno.test.afterAll(() => services.close());

const { clients, collections, compilers, cryptography, dates, identifiers } = api;
const { numbers, refused, texts, validation } = api;

/** What each package does without looking at the clock or at randomness. */
const queries: Record<string, [typeof api[string], unknown]> = {
  "zod": [validation.zod, {
    parsed: { age: 18, email: "ada@example.com", name: "Ada" },
    issues: ["name: too_small", "email: invalid_format", "tags.0: invalid_value"],
    json: ["name", "email", "age", "tags"],
  }],
  "valibot": [validation.valibot, {
    good: { email: "a@b.co", size: { kind: "px", value: 3 } },
    issues: ["email", "size.kind"],
  }],
  "validator": [validation.validators, [true, false, true, "&lt;b&gt;", true]],
  "date-fns": [dates.dateFns, ["2024-03-01 13:00, Friday", 2, "2 days", 0]],
  "dayjs": [dates.dayjs, ["2024-02-29", "1:30", true]],
  "luxon": [dates.luxon, [
    "2024-03-31T12:00:00.000+02:00",
    "30. März 2024",
    1.5416666666666665,
    "1 hour, 30 minutes",
  ]],
  "ms": [dates.ms, [172_800_000, "2 minutes"]],
  "immer": [collections.immer, [[1, 2], [1, 2, 3], 1, 5, [{
    op: "replace",
    path: ["x"],
    value: 2,
  }]]],
  "lodash-es": [collections.lodashEs, [
    [[1, 2], [3, 4], [5]],
    { 3: ["one", "two"], 5: ["three"] },
    { a: { b: 1, c: 2 } },
    "function",
    "EvalError: Code generation from strings disallowed for this context",
  ]],
  "lodash": [collections.lodash, [[2, 4, 6], 1, "someTextHere", true]],
  "superjson": [collections.superjson, ["1970-01-01T00:00:00.000Z", [1n], "g", true]],
  "ramda": [collections.ramda, [[10, 30], { a: { b: 2 } }, true]],
  "remeda": [collections.remeda, { x: 4, y: 2 }],
  "fp-ts": [collections.fpTs, [8, "no number: x", true]],
  "effect": [collections.effect, 42],
  "rxjs": [collections.rxjs, [[1, 3, 6], [1, 1, 2, 2], 2]],
  "bignumber.js": [numbers.bignumber, ["12345678912345678900000000000", "ff"]],
  "mathjs": [numbers.mathjs, [3, "2 * x + 1", "1.969"]],
  "chroma-js": [numbers.chromaJs, ["#c93384", ["#ffffff", "#808080", "#000000"], 21]],
  "uuid": [identifiers.uuid, [true, true, "4fd35a71-71ef-5a55-a9d9-aa75c889a6d0"]],
  "marked": [texts.marked, "<h1>Hi</h1>\n<p><em>you</em> <code>x</code></p>\n"],
  "markdown-it": [
    texts.markdownIt,
    '<table>\n<thead>\n<tr>\n<th>a</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td><a href="https://example.com">https://example.com</a></td>\n</tr>\n</tbody>\n</table>\n',
  ],
  "yaml": [texts.yaml, [
    { a: 1, c: true, list: [{ b: 2 }, { b: 2 }] },
    "text: |-\n  two\n  lines\n",
    "a: 1 # one\nlist:\n  - &x { b: 2 }\n  - *x\nc: true\n",
  ]],
  "js-yaml": [texts.jsYaml, [{ a: [1, 2], b: { c: null } }, "a:\n  - 1\n  - b: 'x: y'\n"]],
  "papaparse": [texts.papaparse, [[{ a: 1, b: "x, y" }], 'a,b\r\n1,"say ""hi"""']],
  "fast-xml-parser": [texts.fastXmlParser, [
    { a: { "@_id": "1", b: ["x", 2] } },
    '<a id="1"><b>x</b><b>2</b></a>',
  ]],
  "cheerio": [texts.cheerio, [
    '<li class="a">one</li><li>new</li><li>2</li>',
    ["one", "new", "2"],
  ]],
  "htmlparser2": [texts.htmlparser2, 1],
  "mustache": [texts.mustache, "Ada, Bob, end<b>&lt;i&gt;"],
  "slugify": [texts.slugify, "cok-guzel-deja-vu"],
  "semver": [texts.semver, [true, "1.3.0", ["2.0.0-beta", "1.10.0", "1.0.0"], "2.1.0"]],
  "qs": [texts.qs, [{ a: { b: ["1", "2"] }, c: "d e" }, "a[b][0]=1&a[b][1]=2"]],
  "fuse.js": [texts.fuse, ["The Lock Artist"]],
  "diff": [texts.diff, [
    ["=the ", "-old", "+new", "= text"],
    ["@@ -1,2 +1,2 @@", " x", "-y", "+z", ""],
  ]],
  "@noble/hashes": [cryptography.nobleHashes, [
    "ba7816bf8f01cfea",
    "3a985da74fe225b2",
    "c2be96d8f3f797a4",
  ]],
  "@noble/curves": [cryptography.nobleCurves, [true, true, false]],
  "tweetnacl": [cryptography.tweetnacl, [32, "hidden", null]],
  "bcryptjs": [cryptography.bcryptjs, [true, false]],
  "jose": [cryptography.jose, ["ada", "admin", 7200, "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"]],
  "hono": [clients.hono, [
    '200 {"id":"7","q":"x"}',
    "401 Unauthorized",
    "201 SHOUT",
    "404 404 Not Found",
  ]],
};

test("semantics 2: npm packages do in queries what they are for", async ({ clients }) => {
  const client = clients.http();
  const wrong: string[] = [];
  for (const [name, [query, expected]] of Object.entries(queries)) {
    try {
      assert.deepEqual(await client.query(query, {}), expected);
    } catch (error) {
      wrong.push(`${name}: ${error}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test("semantics 15: what a function changes in a package is not there for the next", async ({ clients }) => {
  const client = clients.http();
  for (let run = 0; run < 2; run++) {
    assert.deepEqual(await client.query(numbers.big, {}), ["0.3", "0.3333"]);
    assert.equal(await client.query(numbers.bigAfterwards, {}), 20);
    const [precision, root, isExact] = await client.query(numbers.decimal, {});
    assert.deepEqual([precision, isExact], [20, true]);
    assert.equal(root, "1.41421356237309504880168872420969807857");
  }
});

test("semantics 4: packages that make identifiers make others in each call", async ({ clients }) => {
  const client = clients.http();
  const [first, second] = [
    await client.mutation(identifiers.nanoid, {}),
    await client.mutation(identifiers.nanoid, {}),
  ];
  assert.match(first.join(), /^[\w-]{21},[\w-]{8},[ab]{5}$/);
  assert.notEqual(first[0], second[0]);
  const [ulid, time] = await client.mutation(identifiers.ulid, {});
  assert.match(ulid, /^[0-9A-HJKMNP-TV-Z]{26}$/);
  assert.equal(ulid.slice(0, 10), time, "the time stands still");
  const [names, again] = await client.query(identifiers.faker, {});
  assert.deepEqual(names, again);
  assert.match(names[1], /@/);
});

test("convex-helpers with zod checks arguments before and after the validator", async ({ clients }) => {
  const client = clients.http();
  assert.deepEqual(await client.query(validation.convexHelpers, { email: "a@b.co" }), {
    email: "a@b.co",
    limit: 5,
  });
  await assert.rejects(client.query(validation.convexHelpers, {}), /ArgumentValidationError/);
  await assert.rejects(
    client.query(validation.convexHelpers, { email: "nobody" }),
    /ZodError|invalid_format/,
  );
});

test("packages that need timers or entropy work in actions", async ({ clients }) => {
  const client = clients.http();
  assert.equal(await client.action(collections.effectRetry, {}), 3);
  assert.deepEqual(await client.action(cryptography.joseKeys, {}), ["bob", 1]);
});

test("clients of other services work in actions", async (context) => {
  const client = context.clients.http();
  const call = (action: typeof clients.ky) => client.action(action, { baseUrl: services.url });
  assert.deepEqual(await call(clients.openai), ["Hello", "Hello"]);
  assert.deepEqual(await call(clients.anthropic), ["Hello", "Hello"]);
  assert.deepEqual(await call(clients.stripe), [
    "cus_ada@example.com",
    "card_declined",
    "charge.succeeded",
  ]);
  assert.deepEqual(await call(clients.resend), ["sent to b@example.com", null]);
  assert.deepEqual(await call(clients.ky), [{ a: 1 }, "at last", "HTTPError"]);
  assert.deepEqual(await call(clients.axios), [[{ a: 1 }], 200, 404]);
});

test("semantics A1: packages that make code from strings work in Node.js and are refused elsewhere", async ({ clients }) => {
  const client = clients.http();
  assert.deepEqual(await client.action(compilers.ajv, {}), [
    true,
    false,
    ["additionalProperties", "minLength", "required"],
  ]);
  assert.deepEqual(await client.action(compilers.handlebars, {}), ["ADA &lt;", "nobody"]);
  for (const query of [refused.ajv, refused.handlebars]) {
    await assert.rejects(client.query(query, {}), /EvalError: Code generation from strings/);
  }
});
