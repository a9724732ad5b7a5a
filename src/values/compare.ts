/** The total order of values (semantics 6): what indexes, ranges and filters compare by. */
import { CommitTimestamp } from "./commit_timestamp.ts";
import type { Value, ValueObject } from "./value.ts";

/** Negative, zero or positive, like `a - b`. A missing field, `undefined`, is below every value. */
export function compareValues(a: Value | undefined, b: Value | undefined): number {
  const type = typeRank(a);
  const difference = type - typeRank(b);
  if (difference !== 0) return difference;
  switch (type) {
    case rank.int64:
      return compareIntegers(a as bigint | CommitTimestamp, b as bigint | CommitTimestamp);
    case rank.float64:
      return compareFloats(a as number, b as number);
    case rank.boolean:
      return Number(a) - Number(b);
    case rank.string:
      return compareStrings(a as string, b as string);
    case rank.bytes:
      return compareBytes(new Uint8Array(a as ArrayBuffer), new Uint8Array(b as ArrayBuffer));
    case rank.array:
      return compareArrays(a as Value[], b as Value[]);
    case rank.object:
      return compareObjects(a as ValueObject, b as ValueObject);
    default:
      return 0;
  }
}

const rank = {
  undefined: 0,
  null: 1,
  int64: 2,
  float64: 3,
  boolean: 4,
  string: 5,
  bytes: 6,
  array: 7,
  object: 8,
} as const;

function typeRank(value: Value | undefined): number {
  switch (typeof value) {
    case "undefined":
      return rank.undefined;
    case "bigint":
      return rank.int64;
    case "number":
      return rank.float64;
    case "boolean":
      return rank.boolean;
    case "string":
      return rank.string;
  }
  if (value === null) return rank.null;
  if (Array.isArray(value)) return rank.array;
  if (value instanceof CommitTimestamp) return rank.int64;
  return value instanceof ArrayBuffer ? rank.bytes : rank.object;
}

/** The commit timestamp of the running mutation is above every other, as it is in index keys. */
function compareIntegers(a: bigint | CommitTimestamp, b: bigint | CommitTimestamp): number {
  if (typeof a !== "bigint" || typeof b !== "bigint") {
    return Number(typeof a !== "bigint") - Number(typeof b !== "bigint");
  }
  return a < b ? -1 : a > b ? 1 : 0;
}

/** NaN is above infinity and equal to itself; -0 is below 0. */
function compareFloats(a: number, b: number): number {
  if (a < b) return -1;
  if (a > b) return 1;
  if (a === b) return a === 0 ? Number(Object.is(b, -0)) - Number(Object.is(a, -0)) : 0;
  return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
}

/** By UTF-8 bytes, which is by code points; `<` compares UTF-16 units and so misplaces surrogates. */
function compareStrings(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left === right) continue;
    const leftSurrogate = isSurrogate(left);
    return leftSurrogate === isSurrogate(right) ? left - right : leftSurrogate ? 1 : -1;
  }
  return a.length - b.length;
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    if (a[i] !== b[i]) return a[i]! - b[i]!;
  }
  return a.length - b.length;
}

function compareArrays(a: readonly Value[], b: readonly Value[]): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const order = compareValues(a[i], b[i]);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

function compareObjects(a: ValueObject, b: ValueObject): number {
  const left = Object.keys(a).sort();
  const right = Object.keys(b).sort();
  const length = Math.min(left.length, right.length);
  for (let i = 0; i < length; i++) {
    // Field names are ASCII.
    const order = left[i]! < right[i]!
      ? -1
      : left[i]! > right[i]!
      ? 1
      : compareValues(a[left[i]!], b[right[i]!]);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}
