/** One local stand-in for the services whose npm clients actions use. */

export interface FakeServices {
  readonly url: string;
  close(): Promise<void>;
}

export function startFakeServices(): FakeServices {
  let flakyRequests = 0;
  const routes: Record<string, (body: Record<string, unknown>, text: string) => Response> = {
    "POST /openai/chat/completions": ({ stream, model }) =>
      stream === true ? serverSentEvents(openaiChunks) : Response.json({
        id: "c1",
        object: "chat.completion",
        model,
        choices: [{ index: 0, message: { role: "assistant", content: "Hello" } }],
      }),
    "POST /anthropic/v1/messages": ({ stream }) =>
      stream === true
        ? serverSentEvents(anthropicEvents)
        : Response.json({ ...anthropicMessage, content: [{ type: "text", text: "Hello" }] }),
    "POST /v1/customers": (_body, text) =>
      Response.json({ id: `cus_${new URLSearchParams(text).get("email")}`, object: "customer" }),
    "POST /v1/charges": () =>
      Response.json({ error: { type: "card_error", code: "card_declined" } }, { status: 402 }),
    "POST /resend/emails": ({ to }) => Response.json({ id: `sent to ${to}` }),
    "POST /echo": (body) => Response.json(body),
    "GET /flaky": () => new Response("at last", { status: flakyRequests++ === 0 ? 503 : 200 }),
  };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const text = await request.text();
    const isJson = request.headers.get("content-type")?.includes("json") ?? false;
    const answer = routes[`${request.method} ${new URL(request.url).pathname}`];
    return answer?.(isJson ? JSON.parse(text) : {}, text) ?? new Response(null, { status: 404 });
  });
  return { url: `http://127.0.0.1:${server.addr.port}`, close: () => server.shutdown() };
}

function serverSentEvents(events: readonly object[]): Response {
  const text = events.map((event: { readonly type?: string }) =>
    `${event.type === undefined ? "" : `event: ${event.type}\n`}data: ${JSON.stringify(event)}\n\n`
  );
  return new Response(text.join(""), { headers: { "content-type": "text/event-stream" } });
}

const openaiChunks = ["Hel", "lo"].map((content) => ({
  id: "c1",
  object: "chat.completion.chunk",
  choices: [{ index: 0, delta: { content } }],
}));

const anthropicMessage = {
  id: "m1",
  type: "message",
  role: "assistant",
  model: "claude-test",
  content: [],
  stop_reason: null,
  usage: { input_tokens: 1, output_tokens: 1 },
};

const anthropicEvents = [
  { type: "message_start", message: anthropicMessage },
  { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
  { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Hel" } },
  { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "lo" } },
  { type: "content_block_stop", index: 0 },
  { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 2 } },
  { type: "message_stop" },
];
