/** JSON that comes with requests, checked against what a handler wants; apart from others, who load no zod. */
import { z } from "zod";
import { type ApiRequest, badJsonBody } from "./api_request.ts";

/** The body of a request in JSON, as `type` wants it. @throws RequestError that says what is wrong with it. */
export async function parseJsonBody<T>(type: z.ZodType<T>, request: ApiRequest): Promise<T> {
  return mustBe(type, await request.json());
}

/** @throws RequestError that says what is wrong with `value`, which came with a request. */
export function mustBe<T>(type: z.ZodType<T>, value: unknown): T {
  const result = type.safeParse(value);
  if (result.success) return result.data;
  const problem = z.prettifyError(result.error);
  throw badJsonBody(`Failed to parse the request body: ${problem}`, result.error);
}
