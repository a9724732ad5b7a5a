/** `Math.random` and `crypto`: repeatable, from the execution's seed. */
import type { Realm } from "../realm.ts";
import { defineHidden } from "./properties.ts";
import { forbiddenError } from "./refusals.ts";

const bytesMax = 65_536;

export function installRandomness(realm: Realm): void {
  defineHidden(Math, { random: () => realm.execution.random.float() });
  defineHidden(Crypto.prototype, {
    getRandomValues: (array: unknown) => fillRandom(realm, array),
    randomUUID: () => randomUUID(realm),
  });
  const { generateKey } = SubtleCrypto.prototype;
  defineHidden(SubtleCrypto.prototype, {
    async generateKey(this: SubtleCrypto, ...args: Parameters<typeof generateKey>) {
      const { execution } = realm;
      if (execution.isDeterministic) throw forbiddenError("cryptographic randomness", execution);
      return await generateKey.apply(this, args);
    },
  });
}

function fillRandom(realm: Realm, array: unknown): unknown {
  const isIntegers = ArrayBuffer.isView(array) && !(array instanceof DataView) &&
    !/Float/.test(array[Symbol.toStringTag as never]);
  if (!isIntegers) {
    throw new DOMException(
      "The data argument must be an integer-type TypedArray",
      "TypeMismatchError",
    );
  }
  if (array.byteLength > bytesMax) {
    throw new DOMException(
      `The ArrayBufferView's byte length (${array.byteLength}) exceeds the number of bytes of entropy available via this API (${bytesMax})`,
      "QuotaExceededError",
    );
  }
  realm.execution.random.fill(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  return array;
}

function randomUUID(realm: Realm): string {
  const bytes = new Uint8Array(16);
  realm.execution.random.fill(bytes);
  bytes[6] = (bytes[6]! & 0x0f) | 0x40; // version 4
  bytes[8] = (bytes[8]! & 0x3f) | 0x80; // variant 1
  const hex = bytes.toHex();
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${
    hex.slice(20)
  }`;
}
