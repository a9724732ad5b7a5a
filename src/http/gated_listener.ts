/** A listener that is open before there is anything to answer with: while a server starts, and when it stops. */
import { listen, type Listener } from "./listener.ts";
import type { RequestHandler } from "./request_handler.ts";

/** Requests wait until it is given their handler, which another one may replace. */
export interface GatedListener extends Listener {
  open(handler: RequestHandler): void;
}

/** @throws Error that names the cause and the remedy when the port cannot be had. */
export function listenGated(hostname: string, port: number): GatedListener {
  const opened = Promise.withResolvers<RequestHandler>();
  let handler: RequestHandler = async (request, info) => (await opened.promise)(request, info);
  return {
    ...listen(hostname, port, (request, info) => handler(request, info)),
    open(newHandler) {
      handler = newHandler;
      opened.resolve(newHandler);
    },
  };
}
