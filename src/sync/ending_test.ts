import assert from "node:assert/strict";
import { type ErrorKind, RequestError } from "../errors.ts";
import { AuthenticationError, endingFor } from "./ending.ts";

const fatal = '{"type":"FatalError","error":"text"}';

/** The table of sync-protocol 15. */
const table: Record<ErrorKind, ReturnType<typeof endingFor>> = {
  badRequest: { announcement: fatal },
  conflict: { announcement: fatal },
  unauthenticated: { announcement: fatal },
  forbidden: { announcement: fatal, code: 1000, reason: "Code" },
  notFound: { code: 1000, reason: "Code" },
  clientDisconnect: { code: 1000, reason: "Code" },
  rateLimited: { code: 1013, reason: "Code" },
  overloaded: { code: 1013, reason: "Code" },
  writeConflict: { code: 1013, reason: "Code" },
  internal: { code: 1011, reason: "InternalServerError" },
};

Deno.test("sync-protocol rule 106: every kind of error has its announcement, code and reason", () => {
  for (const [kind, ending] of Object.entries(table)) {
    assert.deepEqual(endingFor(new RequestError(kind as ErrorKind, "Code", "text")), ending, kind);
  }
});

Deno.test("sync-protocol rule 28: authentication errors are announced with their version", () => {
  assert.deepEqual(endingFor(new AuthenticationError("text", 3, true)), {
    announcement: '{"type":"AuthError","error":"text","baseVersion":3,"authUpdateAttempted":true}',
  });
});

Deno.test("errors that nobody expected have no ending of their own", () => {
  assert.equal(endingFor(new TypeError("bug")), undefined);
});
