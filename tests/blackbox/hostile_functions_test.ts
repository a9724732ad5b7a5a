/**
 * The wall around user code: functions that attack memory, time, the realm, the host and each other. Each is called as
 * every kind of function that it makes sense for, and must fail, or succeed, alone: a bystander with a live query, and
 * queries, mutations and actions that are in flight all the while, notice nothing; nothing is left behind for the next
 * call; and the server's process stays the same one.
 */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { type AppContext, appServer } from "../support/app_server.ts";
import { watch } from "../support/clients.ts";
import { postJson } from "../support/http.ts";

const { test } = appServer({
  app: "tests/fixtures/hostile",
  environment: {
    HULL_FUNCTION_TIMEOUT_MS: "300",
    HULL_DATABASE_TIMEOUT_S: "2",
    HULL_ACTION_TIMEOUT_S: "2",
    HULL_NODE_ACTION_TIMEOUT_S: "3",
  },
});

type Kind = "query" | "mutation" | "action" | "http" | "node";

interface Attack {
  readonly name: string;
  readonly as: readonly Kind[];
  /** What its caller is told: part of the error, or of the result as JSON. */
  readonly answer: RegExp;
  /** Lines of the specification. */
  readonly proves?: string;
  /** It ends its whole process, where other actions may be running; those cannot be run again. */
  readonly endsProcess?: true;
}

const deterministic: readonly Kind[] = ["query", "mutation"];
const actions: readonly Kind[] = ["action", "http"];
/** What returns a value. */
const functions: readonly Kind[] = [...deterministic, "action"];
const everywhere: readonly Kind[] = [...deterministic, ...actions];

const outOfMemory = /JavaScript execution ran out of memory \(maximum memory usage: 64 MB\)/;
const timedOut = /Function execution timed out \(maximum duration: (0.3|2)s\)/;
const forbidden = /Can't use set(Timeout|Interval) in queries and mutations/;
const stuck = /Returned promise will never resolve/;
const ended = /The process that ran this action ended before the action did/;
const recursion = /RangeError: Maximum call stack size exceeded/;
const returned = /"returned"/;
const printed = /"printed"/;

const memory: readonly Attack[] = [
  {
    name: "fillWithObjects",
    as: ["query", "mutation", "action"],
    answer: outOfMemory,
    proves: "semantics 65",
  },
  { name: "fillWithStrings", as: ["mutation", "http"], answer: outOfMemory },
  { name: "fillMap", as: ["query", "http"], answer: outOfMemory },
  { name: "fillSet", as: ["mutation", "action"], answer: outOfMemory },
  { name: "fillFromInfiniteIterator", as: ["query", "action"], answer: outOfMemory },
  {
    name: "fillArrayBuffers",
    as: ["query", "action"],
    answer: /ran out of memory|Array buffer allocation failed/,
    proves: "semantics 65",
    endsProcess: true,
  },
  {
    name: "fillSharedArrayBuffers",
    as: ["mutation", "action"],
    answer: /ran out of memory|Array buffer allocation failed/,
    endsProcess: true,
  },
  {
    name: "growBuffer",
    as: ["mutation"],
    answer: /ran out of memory|Array buffer allocation failed|ArrayBuffer.prototype.resize/,
    endsProcess: true,
  },
  {
    name: "growWebAssemblyMemory",
    as: ["query"],
    answer: /ran out of memory|Unable to grow|timed out/,
    endsProcess: true,
  },
  {
    name: "hugeBuffer",
    as: ["query"],
    answer: /ran out of memory|Array buffer allocation failed|Invalid array buffer length/,
    endsProcess: true,
  },
  { name: "hugeString", as: everywhere, answer: /RangeError: Invalid string length/ },
  { name: "growBigInt", as: ["query"], answer: /RangeError: Maximum BigInt size|timed out|memory/ },
  { name: "hugeArrayLength", as: ["query", "action"], answer: /RangeError: Invalid array length/ },
  {
    name: "hugeRegExp",
    as: ["query", "action", "node"],
    answer: /SyntaxError: Invalid regular expression/,
  },
  {
    name: "hugeEncoding",
    as: ["query"],
    answer: /ran out of memory|Invalid string length|ended/,
    endsProcess: true,
  },
  {
    name: "spreadArguments",
    as: ["mutation", "action"],
    answer: /call stack size|ran out of memory/,
  },
];

const time: readonly Attack[] = [
  { name: "loop", as: ["query", "mutation", "action"], answer: timedOut, proves: "semantics 63" },
  { name: "loopInFinally", as: ["query"], answer: timedOut },
  { name: "loopOfMicrotasks", as: ["query", "action"], answer: timedOut },
  { name: "loopOfThens", as: ["mutation"], answer: /timed out|ran out of memory/ },
  { name: "forgottenMicrotasks", as: ["query"], answer: timedOut },
  { name: "catastrophicRegExp", as: ["query", "http"], answer: timedOut },
  { name: "loopOfGenerator", as: ["query"], answer: timedOut },
  { name: "loopInComparison", as: ["mutation"], answer: timedOut },
  { name: "loopInConversion", as: ["query"], answer: timedOut },
  { name: "loopInWebAssembly", as: ["query"], answer: timedOut },
  { name: "recurse", as: everywhere, answer: recursion },
  { name: "recurseThroughGetter", as: ["query", "action"], answer: recursion },
  { name: "recurseThroughProxy", as: ["mutation", "http"], answer: recursion },
  { name: "sleepInAtomics", as: everywhere, answer: /Atomics.wait cannot be called/ },
  { name: "sleepForever", as: everywhere, answer: stuck, proves: "semantics A4" },
  {
    name: "floodOfReads",
    as: ["query"],
    answer: /too many system operations|Too many documents read/,
    proves: "semantics 64",
  },
  {
    name: "floodOfWrites",
    as: ["mutation"],
    answer: /Too many writes|too many system operations/,
    proves: "semantics 60",
  },
  { name: "floodOfJobs", as: ["mutation"], answer: /Too many functions scheduled/ },
];

const results: readonly Attack[] = [
  { name: "returnHugeText", as: functions, answer: /too large/, proves: "semantics 66" },
  { name: "returnHugeArray", as: functions, answer: /Array length is too long/ },
  { name: "returnSparseArray", as: ["query", "action"], answer: /Array length is too long/ },
  { name: "returnLoopingGetter", as: ["query"], answer: timedOut },
  { name: "returnThrowingGetter", as: everywhere, answer: /thrown by a getter/ },
  { name: "returnThrowingProxy", as: ["query", "action"], answer: /thrown by a proxy/ },
  { name: "returnRevokedProxy", as: ["query", "action"], answer: /has been revoked/ },
  { name: "returnEndlessProxy", as: ["mutation", "action"], answer: /Value is too nested/ },
  {
    name: "returnGrowingArray",
    as: ["query"],
    answer: /ran out of memory|too nested|too long|timed out/,
  },
  { name: "returnDeep", as: ["query", "action"], answer: /Value is too nested/ },
  { name: "returnToJson", as: ["query"], answer: timedOut },
  { name: "returnThenable", as: everywhere, answer: /"resolved by a thenable"/ },
  { name: "returnStuckThenable", as: ["query", "action"], answer: stuck },
  { name: "returnLoopingThenable", as: ["mutation"], answer: timedOut },
  { name: "throwNothing", as: everywhere, answer: /Uncaught undefined/ },
  { name: "throwHugeMessage", as: ["query", "action", "node"], answer: /Uncaught Error: m{1000}/ },
  {
    name: "throwHugeData",
    as: ["mutation", "action"],
    answer: /Uncaught ConvexError|memory|timed out/,
  },
  { name: "throwLoopingMessage", as: ["query"], answer: timedOut },
  { name: "throwLoopingStack", as: ["mutation"], answer: timedOut },
  { name: "throwThrowingProxy", as: everywhere, answer: /cannot be shown|thrown by a proxy/ },
  { name: "prepareStackTraceLoops", as: ["query"], answer: timedOut },
  { name: "prepareStackTraceThrows", as: ["query", "action"], answer: /Uncaught/ },
  { name: "passLoopingGetter", as: ["query", "action"], answer: timedOut },
  { name: "passThrowingProxy", as: ["mutation", "action"], answer: /thrown by a proxy/ },
  { name: "passHuge", as: ["query", "action"], answer: /too large|ran out of memory/ },
  { name: "passReentrant", as: ["mutation"], answer: /all of it is undone/ },
  { name: "callForever", as: ["mutation"], answer: /call depth limit exceeded/ },
  { name: "printMuch", as: [...everywhere, "node"], answer: printed },
  { name: "printLong", as: [...everywhere, "node"], answer: printed },
  { name: "printForever", as: ["query"], answer: timedOut },
  { name: "printLoopingGetter", as: ["mutation"], answer: timedOut },
  { name: "printHostile", as: [...everywhere, "node"], answer: printed },
];

const late: readonly Attack[] = [
  { name: "rejectUnhandled", as: everywhere, answer: /nobody listens/, proves: "semantics A3" },
  { name: "rejectNothing", as: everywhere, answer: /Uncaught undefined/ },
  { name: "rejectUnhandled", as: ["node"], answer: returned },
  { name: "throwInTimer", as: deterministic, answer: forbidden, proves: "semantics 8" },
  { name: "throwInTimer", as: [...actions, "node"], answer: /thrown in a timer/ },
  { name: "intervalAfterReturn", as: deterministic, answer: forbidden },
  { name: "rejectAfterReturn", as: [...actions, "node"], answer: returned },
  { name: "throwAfterReturn", as: [...actions, "node"], answer: returned },
  { name: "intervalAfterReturn", as: actions, answer: returned },
  { name: "loopAfterReturn", as: actions, answer: returned },
  { name: "pollAfterReturn", as: everywhere, answer: returned },
  { name: "resolveTwice", as: everywhere, answer: returned },
];

/** What becomes of these calls themselves is their own affair, but it must be known in time. */
const anyAnswer = /[^]/;
const realm: readonly Attack[] = [
  ...["patchJson", "patchPromise", "patchArray", "patchCollections", "patchText", "patchFunction"],
  ...["patchObject", "patchBytes", "patchRegExp", "patchDate", "patchConsole", "patchErrors"],
  ...["setterOfIndex", "polluteObject", "polluteThen", "polluteThenForever", "species"],
  ...["deleteGlobals", "freezeGlobals", "cycleOfPrototypes", "fillSymbolRegistry"],
].map((name) => ({ name, as: functions, answer: anyAnswer, proves: "semantics 15" }));

const node: readonly Attack[] = [
  { name: "exit", as: ["node"], answer: /process.exit\(0\) was called/ },
  { name: "abort", as: ["node"], answer: ended, endsProcess: true },
  { name: "kill", as: ["node"], answer: ended, endsProcess: true },
  { name: "writeGarbage", as: ["node"], answer: ended, endsProcess: true },
  { name: "writeHugeFrame", as: ["node"], answer: ended, endsProcess: true },
  { name: "throwUncaught", as: ["node"], answer: ended, endsProcess: true },
  { name: "patchProcess", as: ["node"], answer: ended, endsProcess: true },
  { name: "closeOutput", as: ["node"], answer: /timed out/, endsProcess: true },
  { name: "loop", as: ["node"], answer: /timed out/, endsProcess: true },
  { name: "exhaustHeap", as: ["node"], answer: /ended|timed out|out of memory/, endsProcess: true },
  { name: "flood", as: ["node"], answer: /"flooded"/ },
  { name: "throwLater", as: ["node"], answer: /too late/ },
];

for (const attack of [...memory, ...time, ...results, ...late, ...realm, ...node]) {
  const { name, as, proves } = attack;
  test(`I7${proves === undefined ? "" : `, ${proves}`}: hostile ${name} (${as.join(", ")}) fails alone`, (context) =>
    unharmed(context, attack.endsProcess ?? false, async () => {
      const inLanes = [deterministic, actions, ["node"] as const].map(async (lane) => {
        for (const kind of lane) if (as.includes(kind)) await strike(context, attack, kind);
      });
      await Promise.all(inLanes);
    }));
}

/** Attacks once and looks for what it left behind. */
async function strike({ server }: AppContext, attack: Attack, kind: Kind): Promise<void> {
  assert.match(await answerTo(server.url, attack.name, kind), attack.answer);
  if (kind === "node") return;
  const endpoint = kind === "http" ? "action" : kind;
  const suffix = { query: "Query", mutation: "Mutation", action: "Action" }[endpoint];
  const next = await postJson(`${server.url}/api/${endpoint}`, {
    path: `calls:tracesIn${suffix}`,
    args: {},
  });
  assert.deepEqual(next.body.value, [], `after ${kind} ${attack.name}: ${JSON.stringify(next)}`);
}

async function answerTo(url: string, attack: string, kind: Kind): Promise<string> {
  if (kind === "http") {
    return await (await fetch(`${url}/http/attack/${attack}`, { method: "POST" })).text();
  }
  const [endpoint, path] = kind === "node" ? ["action", "node:attack"] : [kind, `calls:${kind}`];
  const { body } = await postJson(`${url}/api/${endpoint}`, { path, args: { attack } });
  return body.errorMessage ?? body.message ?? JSON.stringify(body.value);
}

let bystanders = 0;

/** Proves that nobody else notices `attack`. */
async function unharmed(
  { server, clients }: AppContext,
  actionsMayEnd: boolean,
  attack: () => Promise<void>,
): Promise<void> {
  const name = `bystander ${bystanders++}`;
  const live = clients.live();
  const http = clients.http();
  const counter = watch(live, api.bystander.read, { name });
  await counter.until((value) => value === 0, "the bystander's first result");
  let isOver = false;
  let increments = 0;
  const meanwhile = async (call: () => Promise<void>) => {
    while (!isOver) {
      await call();
      // Leaves the processor to the attack.
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  const writing = meanwhile(async () => {
    assert.equal(await live.mutation(api.bystander.increment, { name }), ++increments);
  });
  const reading = meanwhile(async () => {
    assert.equal(await http.query(api.bystander.read, { name: "nobody" }), 0);
  });
  const acting = meanwhile(async () => {
    if (actionsMayEnd) return;
    assert.equal(await http.action(api.bystander.echo, { text: name }), name);
  });
  const attacking = attack().finally(() => isOver = true);
  await Promise.all([attacking, writing, reading, acting]);
  increments++;
  assert.equal(await live.mutation(api.bystander.increment, { name }), increments);
  await counter.until((value) => value === increments, "the bystander's last update");
  assert.equal(live.connectionState().connectionCount, 1, "the bystander had to reconnect");
  assert.ok(server.isRunning, "the server's process is gone");
}

for (const kind of ["Query", "Mutation", "Action"]) {
  test(`semantics 12, 14, A1: nothing of the host can be reached from a ${kind.toLowerCase()}`, async ({ server }) => {
    const call = async (path: string, args: object) =>
      (await postJson(`${server.url}/api/${kind.toLowerCase()}`, { path, args })).body;
    const names = await postJson(`${server.url}/api/query`, { path: "calls:attempts", args: {} });
    assert.ok(names.body.value.length > 35);
    for (const name of names.body.value) {
      const { value, errorMessage } = await call(`calls:reachIn${kind}`, { name });
      // What is not offered at all ends the function, whatever it catches.
      if (name === "performanceMark") assert.match(errorMessage, /Not implemented: mark/);
      else assert.deepEqual({ name, value, errorMessage }, { name, value: null, errorMessage });
    }
  });
}
