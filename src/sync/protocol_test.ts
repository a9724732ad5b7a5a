import assert from "node:assert/strict";
import type { Timestamp } from "../database/timestamp.ts";
import { encodeTransition, encodeVersion, parseClientMessage } from "./protocol.ts";

const sessionId = "6b3d3a4e-64dc-4f6b-9f0f-0a4a9f9f3d11";

function parse(message: unknown) {
  return parseClientMessage(JSON.stringify(message));
}

Deno.test("sync-protocol 96, 97: null and absent optional fields and unknown ones are accepted", () => {
  const expected = { type: "Connect", sessionId, clientTs: null, maxObservedTimestamp: null };
  assert.deepEqual(parse({ type: "Connect", sessionId, connectionCount: 3, extra: 1 }), expected);
  assert.deepEqual(
    parse({
      type: "Connect",
      sessionId,
      connectionCount: 0,
      lastCloseReason: null,
      clientTs: null,
      maxObservedTimestamp: null,
    }),
    expected,
  );
  assert.deepEqual(
    parse({ type: "Connect", sessionId, clientTs: 5, maxObservedTimestamp: "6AMAAAAAAAA=" }),
    {
      ...expected,
      clientTs: 5,
      maxObservedTimestamp: 1,
    },
  );
});

Deno.test("sync-protocol 14: events are accepted whatever they contain", () => {
  for (const event of [{}, [], "x", null, { name: 1 }]) {
    assert.deepEqual(parse({ type: "Event", eventType: "Unheard", event }), { type: "Event" });
  }
});

Deno.test("parseClientMessage keeps arguments, journals and components of functions", () => {
  assert.deepEqual(
    parse({
      type: "ModifyQuerySet",
      baseVersion: 0,
      newVersion: 1,
      modifications: [
        { type: "Add", queryId: 4, udfPath: "a/b:c", args: [{ x: 1 }], journal: "j" },
        { type: "Add", queryId: 5, udfPath: "a", args: [], journal: null, componentPath: null },
        { type: "Remove", queryId: 4 },
      ],
    }),
    {
      type: "ModifyQuerySet",
      baseVersion: 0,
      newVersion: 1,
      modifications: [
        {
          type: "Add",
          queryId: 4,
          udfPath: "a/b:c",
          args: '[{"x":1}]',
          journal: "j",
          componentPath: "",
        },
        { type: "Add", queryId: 5, udfPath: "a", args: "[]", journal: null, componentPath: "" },
        { type: "Remove", queryId: 4 },
      ],
    },
  );
});

Deno.test("parseClientMessage does not lose negative zero", () => {
  const text = '{"type":"Mutation","requestId":1,"udfPath":"a:b","args":[{"x":-0,"y":-0.5}]}';
  const message = parseClientMessage(text);
  assert.ok(message.type === "Mutation");
  assert.equal(message.args, '[{"x":{"$float":"AAAAAAAAAIA="},"y":-0.5}]');
});

Deno.test("sync-protocol rule 20: the user an admin acts as, under both names", () => {
  const user = { issuer: "i", subject: "s", role: "x" };
  for (const name of ["impersonating", "acting_as"]) {
    const message = parse({
      type: "Authenticate",
      baseVersion: 0,
      tokenType: "Admin",
      value: "k",
      [name]: user,
    });
    assert.ok(message.type === "Authenticate" && message.credential.tokenType === "Admin");
    assert.deepEqual(message.credential.impersonating, { ...user, tokenIdentifier: "i|s" });
  }
});

Deno.test("sync-protocol 79, 92–95, 107, 108: what is malformed says so", () => {
  const add = { type: "Add", queryId: 0, udfPath: "a:b", args: [{}] };
  const set = { type: "ModifyQuerySet", baseVersion: 0, newVersion: 1 };
  const texts: Record<string, unknown> = {
    "no object": [1],
    "unknown type": { type: "Nonsense" },
    "type that every object has": { type: "constructor" },
    "no type": {},
    "no args": { type: "Mutation", requestId: 0, udfPath: "a:b" },
    "args that are no array": { type: "Action", requestId: 0, udfPath: "a:b", args: {} },
    "bad path": { type: "Mutation", requestId: 0, udfPath: "bad-name:fn", args: [{}] },
    "no modifications": set,
    "bad path in a query": { ...set, modifications: [{ ...add, udfPath: "../x" }] },
    "unknown modification": { ...set, modifications: [{ ...add, type: "Change" }] },
    "journal of another type": { ...set, modifications: [{ ...add, journal: 1 }] },
    "version that is negative": { ...set, newVersion: -1, modifications: [] },
    "version that is too large": { ...set, newVersion: 2 ** 32, modifications: [] },
    "bad session id": { type: "Connect", sessionId: "x" },
    "bad timestamp": { type: "Connect", sessionId, maxObservedTimestamp: "AAAA" },
    "clientTs with a fraction": { type: "Connect", sessionId, clientTs: 1.5 },
    "impersonation without a subject": {
      type: "Authenticate",
      baseVersion: 0,
      tokenType: "Admin",
      value: "k",
      impersonating: { issuer: "i" },
    },
    "unknown token type": { type: "Authenticate", baseVersion: 0, tokenType: "Robot" },
    "event without content": { type: "Event", eventType: "x" },
  };
  const malformed = { message: /^Received Invalid JSON on websocket: ./, kind: "badRequest" };
  assert.throws(() => parseClientMessage("{"), malformed);
  for (const [name, message] of Object.entries(texts)) {
    assert.throws(() => parse(message), malformed, name);
  }
});

Deno.test("encodeTransition is JSON with the clocks as numbers, or without what is not known", () => {
  const version = encodeVersion({ querySet: 1, identity: 2, ts: 1 as Timestamp });
  assert.deepEqual(JSON.parse(version), { querySet: 1, identity: 2, ts: "6AMAAAAAAAA=" });
  const transition = {
    start: version,
    end: version,
    modifications: ["1", "2"],
    clientClockSkewMs: -12,
    serverTimeMs: 1_795_348_954_730.123,
  };
  const text = encodeTransition(transition);
  assert.match(text, /"clientClockSkew":-12,"serverTs":1795348954730123000\}$/);
  assert.deepEqual(JSON.parse(text).modifications, [1, 2]);
  const unknown = JSON.parse(encodeTransition({ ...transition, clientClockSkewMs: null }));
  assert.equal("clientClockSkew" in unknown, false);
});
