/** Queries that come with their code, for administrators (deploy-protocol 6.2). */
import { z } from "zod";
import type { ComponentId } from "../database/component.ts";
import type { CallContext, FunctionResult } from "../functions/functions.ts";
import { readAdminBody } from "./deploy_api.ts";
import { envelope } from "./function_api.ts";
import { parseArguments } from "./function_call.ts";
import { mustBe } from "./json_body.ts";
import { jsonText } from "./responses.ts";
import type { ApiHandlers } from "./routes.ts";
import { parseValueFormat } from "./value_format.ts";

/** `InlineQueries` of src/deploy/ is the implementation. */
export interface TestFunctions {
  run(
    query: { readonly source: string; readonly args: string; readonly component: ComponentId },
    context: CallContext,
  ): Promise<FunctionResult>;
}

const testBody = z.object({
  args: z.union([z.record(z.string(), z.unknown()), z.array(z.unknown())]),
  bundle: z.object({ path: z.string(), source: z.string() }),
  format: z.string().default("convex_encoded_json"),
  componentId: z.string().nullish(),
});

export function testFunctionApi(functions: TestFunctions) {
  return {
    async runTestFunction(request) {
      const body = mustBe(testBody, await readAdminBody(request));
      const { args, bundle: { source }, format, componentId } = body;
      const context: CallContext = {
        caller: { kind: "admin", impersonating: null },
        origin: "HttpApi",
        requestId: request.requestId,
        client: request.sender,
      };
      const result = await functions.run({
        source,
        args: parseArguments({ args }),
        component: (componentId ?? "") as ComponentId,
      }, context);
      return jsonText(envelope(result, parseValueFormat(format), context, false));
    },
  } satisfies Partial<ApiHandlers>;
}
