/** References to functions of apps whose generated code the tests do not see. */
import { anyApi } from "convex/server";

// deno-lint-ignore no-explicit-any -- without generated types every path is possible
export const api: any = anyApi;
