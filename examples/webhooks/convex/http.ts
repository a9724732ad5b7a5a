import { httpRouter, type PaginationResult } from "convex/server";
import { internal } from "./_generated/api";
import type { Doc } from "./_generated/dataModel";
import { httpAction } from "./_generated/server";
import { isSigned } from "./signature";

const http = httpRouter();
const encoder = new TextEncoder();

/** Takes an order from another service: signed, and once however often it is sent. */
http.route({
  path: "/webhooks/orders",
  method: "POST",
  handler: httpAction(async (ctx, request) => {
    const secret = process.env.WEBHOOK_SECRET;
    if (secret === undefined) {
      throw new Error("Set WEBHOOK_SECRET: hull env set WEBHOOK_SECRET …");
    }
    // The signature is of the bytes as they were sent, not of what parsing makes of them.
    const body = await request.text();
    if (!(await isSigned(body, request.headers.get("x-signature"), secret))) {
      return new Response("The signature is missing, wrong or too old\n", {
        status: 401,
      });
    }
    const deliveryId = request.headers.get("x-delivery-id");
    if (deliveryId === null) {
      return new Response("x-delivery-id is missing\n", { status: 400 });
    }
    const { item, quantity } = JSON.parse(body);
    const status = await ctx.runMutation(internal.orders.receive, {
      deliveryId,
      item,
      quantity,
    });
    return Response.json({ status });
  }),
});

/** All orders, a line of JSON each, read page by page as fast as the client takes them. */
http.route({
  path: "/orders",
  method: "GET",
  handler: httpAction(async (ctx) => {
    let cursor: string | null = null;
    let isDone = false;
    const body = new ReadableStream({
      async pull(controller) {
        if (isDone) return controller.close();
        const result: PaginationResult<Doc<"orders">> = await ctx.runQuery(
          internal.orders.page,
          {
            paginationOpts: { cursor, numItems: 100 },
          },
        );
        ({ continueCursor: cursor, isDone } = result);
        controller.enqueue(
          encoder.encode(
            result.page.map((order) => `${JSON.stringify(order)}\n`).join(""),
          ),
        );
      },
    });
    return new Response(body, {
      headers: { "content-type": "application/x-ndjson" },
    });
  }),
});

/** New orders as server-sent events, until the client goes away. */
http.route({
  path: "/orders/events",
  method: "GET",
  handler: httpAction(async (ctx, request) => {
    let creationTime = Date.now();
    const body = new ReadableStream({
      async start(controller) {
        controller.enqueue(encoder.encode(": waiting for orders\n\n"));
        while (!request.signal.aborted) {
          for (
            const order of await ctx.runQuery(internal.orders.after, {
              creationTime,
            })
          ) {
            controller.enqueue(
              encoder.encode(`data: ${JSON.stringify(order)}\n\n`),
            );
            creationTime = order._creationTime;
          }
          await new Promise((resolve) => setTimeout(resolve, 200));
        }
        controller.close();
      },
    });
    return new Response(body, {
      headers: { "content-type": "text/event-stream" },
    });
  }),
});

export default http;
