/**
 * `Response`: nobody can switch protocols from inside a function, so 101 is refused like other statuses (semantics 1.5).
 * An empty text with a status that allows no body is taken for none, because published packages write
 * `new Response("", { status: 205 })`.
 */
import { defineHidden } from "./properties.ts";

export function installResponse(): void {
  const NativeResponse = Response;
  function FunctionResponse(
    ...[body, init]: [BodyInit | null | undefined, ResponseInit | undefined]
  ) {
    if (new.target === undefined) {
      throw new TypeError("Class constructor Response cannot be invoked without 'new'");
    }
    if (Number(init?.status) === 101) {
      throw new RangeError("The status provided (101) is not in the range [200, 599]");
    }
    const isNone = body === "" && isNullBodyStatus(Number(init?.status));
    return Reflect.construct(NativeResponse, [isNone ? null : body, init], new.target);
  }
  Object.defineProperty(FunctionResponse, "name", { value: "Response" });
  Object.defineProperty(FunctionResponse, "length", { value: NativeResponse.length });
  Object.defineProperty(FunctionResponse, "prototype", {
    value: NativeResponse.prototype,
    writable: false,
  });
  const { error, json, redirect } = NativeResponse;
  defineHidden(FunctionResponse, { error, json, redirect });
  defineHidden(NativeResponse.prototype, { constructor: FunctionResponse });
  defineHidden(globalThis, { Response: FunctionResponse });
}

function isNullBodyStatus(status: number): boolean {
  return status === 204 || status === 205 || status === 304;
}
