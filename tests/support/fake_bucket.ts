/** A server in this process that keeps objects as S3 and R2 do, as far as tests need it: PUT, GET, HEAD and DELETE. */
export interface FakeBucket extends AsyncDisposable {
  readonly url: string;
  /** Path of each object that is there, `/bucket/key`. */
  paths(): string[];
}

/** Starts one on a free port. */
export function startFakeBucket(): FakeBucket {
  const objects = new Map<
    string,
    { readonly body: Uint8Array<ArrayBuffer>; readonly type: string }
  >();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const path = new URL(request.url).pathname;
    if (request.method === "PUT") {
      const type = request.headers.get("content-type") ?? "application/octet-stream";
      objects.set(path, { body: await request.bytes(), type });
      return new Response(null, { headers: { etag: '"1"' } });
    }
    if (request.method === "DELETE") {
      objects.delete(path);
      return new Response(null, { status: 204 });
    }
    const object = objects.get(path);
    if (object === undefined) return new Response(null, { status: 404 });
    return new Response(request.method === "HEAD" ? null : object.body, {
      headers: {
        "content-type": object.type,
        "content-length": String(object.body.length),
        "last-modified": new Date(0).toUTCString(),
      },
    });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    paths: () => [...objects.keys()],
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
