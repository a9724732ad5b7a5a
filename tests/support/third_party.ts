/** The outside world of actions: a local HTTP server that greets, shouts, and takes payments. */

export interface ThirdParty {
  readonly url: string;
  /** Paths with bodies in the order in which they were requested. */
  readonly requests: { readonly path: string; readonly body: string }[];
  /** Whether the next payments succeed. */
  acceptsPayments: boolean;
  close(): Promise<void>;
}

export function startThirdParty(): ThirdParty {
  const requests: { path: string; body: string }[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const path = new URL(request.url).pathname;
    const body = await request.text();
    requests.push({ path, body });
    switch (path) {
      case "/greeting":
        return new Response("hello from outside");
      case "/shout":
        return new Response(body.toUpperCase());
      case "/charge":
        return new Response(null, { status: party.acceptsPayments ? 200 : 402 });
      default:
        return new Response(null, { status: 404 });
    }
  });
  const party: ThirdParty = {
    url: `http://127.0.0.1:${server.addr.port}`,
    requests,
    acceptsPayments: true,
    close: () => server.shutdown(),
  };
  return party;
}
