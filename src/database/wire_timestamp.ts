/** Timestamps as clients see them: nanoseconds, 8 bytes little-endian, in base64 (sync-protocol 3). */
import { Buffer } from "node:buffer";
import type { Timestamp } from "./timestamp.ts";

const nanosecondsPerTick = 1000n;

export function encodeWireTimestamp(timestamp: Timestamp): string {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(timestamp) * nanosecondsPerTick);
  return bytes.toString("base64");
}

/** The newest timestamp at or before the one in `text`; undefined when it is none. */
export function decodeWireTimestamp(text: string): Timestamp | undefined {
  const bytes = Buffer.from(text, "base64");
  if (bytes.length !== 8 || bytes.toString("base64") !== text) return undefined;
  return Number(bytes.readBigUInt64LE() / nanosecondsPerTick) as Timestamp;
}
