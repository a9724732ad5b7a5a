/**
 * Checks what isolates and executors send. User code runs there, so anything may arrive: what does not have the
 * expected shape throws `MessageError`, and its sender is ended. Only shapes are checked. An isolate decides for
 * itself what its own functions answer and write, and code that has broken out of one can decide it too.
 */
import type { FromExecutor, FromIsolate, FromNode } from "./protocol.ts";
import {
  anyOf,
  anything,
  count,
  finite,
  flag,
  listOf,
  mapOf,
  nullable,
  oneOf,
  optional,
  record,
  type Shape,
  text,
  tuple,
} from "./shape.ts";

/** A message that its sender's program would never send. */
export class MessageError extends Error {
  override name = "MessageError";
}

const failure = record({ message: text, frames: listOf(text), data: optional(text) });

const point = tuple(count, text);
const interval = record({ lower: text, upper: nullable(text) });
const reads = listOf(tuple(count, listOf(interval)));
const write = record({
  table: count,
  id: text,
  row: nullable(count),
  json: nullable(text),
  existed: flag,
  removedKeys: listOf(point),
  addedKeys: listOf(point),
  keptKeys: listOf(point),
  searchKeys: optional(listOf(point)),
  changedSearchIndexes: optional(listOf(count)),
});
const schemaViolation = record({
  error: text,
  component: optional(text),
  tableName: nullable(text),
});
const commit = record({
  snapshot: count,
  structureVersion: count,
  reads,
  writes: record({
    documents: listOf(write),
    tables: listOf(record({ name: text, number: count, component: optional(text) })),
    isUnresolved: optional(flag),
    pendingSchemaViolation: optional(schemaViolation),
  }),
  origin: record({ isolate: count, sequence: count }),
  source: optional(text),
  dependsOn: listOf(count),
});

const observations = {
  snapshot: optional(count),
  reads: optional(reads),
  journal: optional(nullable(text)),
  observed: optional(record({ time: flag, identity: flag, variables: nullable(listOf(text)) })),
};
const response = record({ status: count, headers: listOf(tuple(text, text)) });
const outcome = anyOf(
  record({
    kind: oneOf("success"),
    ...observations,
    commit: optional(commit),
    response: optional(response),
  }),
  record({
    kind: oneOf("failure"),
    ...observations,
    failure,
    isOutOfRetention: optional(flag),
    commit: optional(commit),
  }),
);

const logLines = listOf(record({
  level: oneOf("DEBUG", "ERROR", "WARN", "INFO", "LOG"),
  messages: listOf(text),
  isTruncated: flag,
  timestamp: finite,
  udfPath: optional(text),
  systemCode: optional(text),
}));

const usage = record({
  documentsRead: count,
  bytesRead: count,
  documentsWritten: count,
  bytesWritten: count,
  durationMs: finite,
  heapBytes: optional(count),
});

const analyzedFunction = record({
  name: text,
  udfType: oneOf("Query", "Mutation", "Action"),
  visibility: nullable(oneOf("public", "internal")),
  args: nullable(text),
  returns: nullable(text),
  position: nullable(record({ path: text, line: count, column: count })),
});
const analyzedModule = record({
  functions: listOf(analyzedFunction),
  httpRoutes: nullable(listOf(record({ path: text, method: text }))),
  crons: nullable(text),
  exported: nullable(text),
});
const analysis = anyOf(
  record({ kind: oneOf("success"), modules: mapOf(analyzedModule) }),
  record({ kind: oneOf("failure"), module: text, message: text }),
);

const fromIsolate: Readonly<Record<FromIsolate["type"], Shape>> = {
  ready: anything,
  result: record({ callId: count, outcome, logLines, usage, isLast: optional(flag) }),
  operation: record({
    callId: count,
    operationId: count,
    operation: text,
    fields: mapOf(anything),
  }),
  log: record({ callId: count, logLines }),
  wantRequestPiece: record({ callId: count }),
  response: record({ callId: count, response, bodyBytes: nullable(count) }),
  responsePiece: record({ callId: count }),
  warm: record({ deployment: text }),
  analyzed: record({ callId: count, result: analysis }),
};

const fromNode: Readonly<Record<FromNode["type"], Shape>> = {
  ...fromIsolate,
  pong: record({ residentBytes: count }),
};

const fromExecutor: Readonly<Record<FromExecutor["type"], Shape>> = {
  ready: anything,
  died: record({
    isolate: count,
    reason: oneOf("heap", "timeout", "databaseTimeout", "exit", "terminated"),
    callId: nullable(count),
    detail: optional(text),
  }),
  memory: record({ residentBytes: finite }),
};

/** @throws MessageError */
export function parseFromIsolate(header: unknown): FromIsolate {
  return parse(fromIsolate, header) as FromIsolate;
}

/** @throws MessageError */
export function parseFromNode(header: unknown): FromNode {
  return parse(fromNode, header) as FromNode;
}

/** @throws MessageError */
export function parseFromExecutor(header: unknown): FromExecutor {
  return parse(fromExecutor, header) as FromExecutor;
}

function parse(shapes: Readonly<Record<string, Shape>>, header: unknown): unknown {
  const type = record({ type: text })(header) ? (header as { type: string }).type : "";
  if (!Object.hasOwn(shapes, type) || !shapes[type]!(header)) {
    throw new MessageError(`Not a message: ${JSON.stringify(header)?.slice(0, 200)}`);
  }
  return header;
}
