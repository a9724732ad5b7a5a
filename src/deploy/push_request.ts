/** Bodies of the deploy API, parsed; keys that the server does not know are let through (deploy-protocol 3.4). */
import { z } from "zod";
import { RequestError } from "../errors.ts";

const module = z.looseObject({
  path: z.string(),
  source: z.string(),
  sourceMap: z.string().nullish(),
  environment: z.enum(["isolate", "node"]),
});

/** Exact versions from a registry alone: npm would also take addresses, paths and commands of Git. */
const nodeDependency = z.looseObject({
  name: z.string().max(214).regex(
    /^(@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/i,
    "not the name of an npm package",
  ),
  version: z.string().max(256).regex(
    /^\d+\.\d+\.\d+([-+][a-z0-9.+-]+)?$/i,
    "not an exact version, such as 1.2.3",
  ),
});

const segmentBytesMax = 2048;

/** POSIX, relative to the functions folder; it may lead out of that (components 1). */
const definitionPath = z.string().refine(
  (path) =>
    path.split("/").every((segment) =>
      /^[\x20-\x5b\x5d-\x7e]+$/.test(segment) && segment.length <= segmentBytesMax
    ),
  "not the relative path of a component's folder",
);

const startPush = z.looseObject({
  dryRun: z.boolean().default(false),
  functions: z.string(),
  appDefinition: z.looseObject({
    definition: module,
    dependencies: z.array(z.string()).default([]),
    schema: module.nullish(),
    changedModules: z.array(module).optional(),
    /** What older clients call `changedModules`. */
    functions: z.array(module).optional(),
    unchangedModuleHashes: z.array(z.looseObject({
      path: z.string(),
      environment: z.enum(["isolate", "node"]),
      sha256: z.string(),
    })).default([]),
    udfServerVersion: z.string(),
  }),
  componentDefinitions: z.array(z.looseObject({
    definitionPath,
    definition: module,
    dependencies: z.array(z.string()).default([]),
    schema: module.nullish(),
    functions: z.array(module),
    udfServerVersion: z.string(),
  })).default([]),
  nodeDependencies: z.array(nodeDependency).max(1000).default([]),
  nodeVersion: z.string().nullish(),
  forCodegen: z.boolean().default(false),
});

const waitForSchema = z.looseObject({
  schemaChange: z.looseObject({ schemaIds: z.record(z.string(), z.string().nullable()) }),
  timeoutMs: z.number().min(0).max(60_000).default(10_000),
  dryRun: z.boolean().default(false),
});

const finishPush = z.looseObject({
  startPush: z.looseObject({
    environmentVariables: z.record(z.string(), z.string()),
    componentDefinitionPackages: z.looseObject({ "": z.looseObject({ pushId: z.string() }) }),
  }),
  dryRun: z.boolean().default(false),
  message: z.string().nullish(),
});

const deleteComponent = z.object({ componentId: z.string() });

export type StartPushRequest = z.infer<typeof startPush>;
export type ComponentDefinitionBody = StartPushRequest["componentDefinitions"][number];
export type PushedModuleBody = z.infer<typeof module>;
export type WaitForSchemaRequest = z.infer<typeof waitForSchema>;
export type FinishPushRequest = z.infer<typeof finishPush>;

export function parseStartPush(body: unknown): StartPushRequest {
  return parse(startPush, body);
}

export function parseWaitForSchema(body: unknown): WaitForSchemaRequest {
  return parse(waitForSchema, body);
}

export function parseFinishPush(body: unknown): FinishPushRequest {
  const request = parse(finishPush, body);
  if ((request.message?.length ?? 0) > 1024) {
    throw new RequestError(
      "badRequest",
      "PushMessageTooLong",
      "The message of a push may have at most 1024 characters.",
    );
  }
  return request;
}

export function parseDeleteComponent(body: unknown): z.infer<typeof deleteComponent> {
  return parse(deleteComponent, body);
}

function parse<T>(type: z.ZodType<T>, body: unknown): T {
  const result = type.safeParse(body);
  if (result.success) return result.data;
  throw new RequestError(
    "badRequest",
    "InvalidConfig",
    `The push is not understood: ${z.prettifyError(result.error)}`,
  );
}
