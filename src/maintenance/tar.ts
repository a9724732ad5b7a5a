/**
 * The tar format (POSIX ustar), as much of it as a backup needs: plain files with short names. An entry is
 * a header of 512 bytes with name and size, then its bytes, filled up to a multiple of 512; an archive ends
 * with two empty blocks. So both directions need one pass and a constant amount of memory.
 */
import { assert } from "../assert.ts";
import type { ByteReader } from "./byte_reader.ts";

const blockBytes = 512;
const nameBytesMax = 100;
/** Sizes up to this are octal digits; larger ones are binary, as GNU tar and libarchive write them. */
const octalSizeMax = 8 ** 11 - 1;

export interface TarEntry {
  readonly name: string;
  readonly size: number;
  /** To be read to its end before the next entry is asked for. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** What stands before an entry's bytes. `modifiedMs` is for those who unpack it with another program. */
export function tarHeader(name: string, size: number, modifiedMs: number): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(blockBytes);
  const put = (offset: number, text: string) => header.set(encoder.encode(text), offset);
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, "0");
  assert(encoder.encode(name).length <= nameBytesMax, `${name} is too long for an entry's name`);
  put(0, name);
  put(100, "0000600\0" + "0000000\0" + "0000000\0");
  if (size <= octalSizeMax) put(124, octal(size, 11));
  else putBinary(header.subarray(124, 136), size);
  put(136, octal(Math.floor(modifiedMs / 1000), 11));
  put(156, "0");
  put(257, "ustar\0" + "00");
  put(148, octal(checksum(header), 6) + "\0 ");
  return header;
}

/** What stands behind an entry of `size` bytes. */
export function tarPadding(size: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array((blockBytes - size % blockBytes) % blockBytes);
}

/** What stands behind the last entry. */
export function tarEnd(): Uint8Array<ArrayBuffer> {
  return new Uint8Array(2 * blockBytes);
}

/**
 * The entries of an archive, in their order.
 * @throws SyntaxError when it is none, or ends too early.
 */
export async function* readTar(reader: ByteReader): AsyncGenerator<TarEntry> {
  for (;;) {
    const header = await reader.exactly(blockBytes);
    if (header.every((byte) => byte === 0)) return;
    const { name, size } = parseHeader(header);
    yield { name, size, body: reader.pieces(size) };
    await reader.exactly(tarPadding(size).length);
  }
}

function parseHeader(header: Uint8Array): { name: string; size: number } {
  const text = (start: number, end: number) =>
    decoder.decode(header.subarray(start, end)).replace(/\0.*/s, "");
  if (parseInt(text(148, 156), 8) !== checksum(header) || !/^0?$/.test(text(156, 157))) {
    throw new SyntaxError("is no tar archive of plain files, or is damaged");
  }
  const isBinary = header[124]! >= 0x80;
  const size = isBinary ? binary(header.subarray(124, 136)) : parseInt(text(124, 136), 8);
  return { name: text(0, nameBytesMax), size };
}

/** The sum of the header's bytes, those of the sum itself counted as spaces. */
function checksum(header: Uint8Array): number {
  return header.reduce((sum, byte, i) => sum + (i >= 148 && i < 156 ? 0x20 : byte), 0);
}

function putBinary(field: Uint8Array, size: number): void {
  for (let i = field.length - 1; i > 0; i--, size = Math.floor(size / 256)) field[i] = size % 256;
  field[0] = 0x80;
}

function binary(field: Uint8Array): number {
  return field.subarray(1).reduce((value, byte) => value * 256 + byte, 0);
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
