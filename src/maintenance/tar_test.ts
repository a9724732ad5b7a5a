import assert from "node:assert/strict";
import fc from "fast-check";
import { ByteReader } from "./byte_reader.ts";
import { readTar, tarEnd, tarHeader, tarPadding } from "./tar.ts";

async function* cut(bytes: Uint8Array, length: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += length) {
    yield bytes.subarray(start, start + length);
  }
}

function archiveOf(files: readonly (readonly [name: string, bytes: Uint8Array])[]): Uint8Array {
  const parts = files.flatMap(([name, bytes]) => [
    tarHeader(name, bytes.length, 0),
    bytes,
    tarPadding(bytes.length),
  ]);
  return Uint8Array.from([...parts, tarEnd()].flatMap((part) => [...part]));
}

Deno.test("tar: files come out as they went in, however the archive is cut into pieces", async () => {
  const file = fc.tuple(fc.stringMatching(/^[a-z]{1,100}$/), fc.uint8Array({ maxLength: 1100 }));
  await fc.assert(
    fc.asyncProperty(
      fc.array(file, { maxLength: 4 }),
      fc.integer({ min: 1, max: 2000 }),
      async (files, length) => {
        const read: [string, Uint8Array][] = [];
        for await (
          const { name, size, body } of readTar(new ByteReader(cut(archiveOf(files), length)))
        ) {
          const bytes = new Uint8Array(size);
          let filled = 0;
          for await (const piece of body) {
            bytes.set(piece, filled);
            filled += piece.length;
          }
          read.push([name, bytes]);
        }
        assert.deepEqual(read, files.map(([name, bytes]) => [name, Uint8Array.from(bytes)]));
      },
    ),
    { numRuns: 50 },
  );
});

Deno.test("tar: sizes beyond what octal digits hold", async () => {
  for (const size of [8 ** 11 - 1, 8 ** 11, 2 ** 45 + 3]) {
    const entries = readTar(new ByteReader(cut(tarHeader("large", size, 0), 512)));
    const { value } = await entries.next();
    assert.equal(value!.size, size);
  }
});
