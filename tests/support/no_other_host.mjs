/** Loaded into the Node.js of a command line, this makes every host but this machine unreachable. */
import { Socket } from "node:net";

const { connect } = Socket.prototype;

Socket.prototype.connect = function (...args) {
  // Node.js passes on what it has already normalized as an array.
  const [options] = Array.isArray(args[0]) ? args[0] : args;
  if (typeof options?.host !== "string" || options.host === "127.0.0.1") {
    return connect.apply(this, args);
  }
  const error = Object.assign(new Error(`${options.host} is unreachable`), { code: "ENETUNREACH" });
  process.nextTick(() => this.destroy(error));
  return this;
};
