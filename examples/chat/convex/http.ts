import { httpRouter } from "convex/server";
import { getByAuthor, getByAuthorPathSuffix, postMessage } from "./messages";

const http = httpRouter();

http.route({ path: "/postMessage", method: "POST", handler: postMessage });
http.route({ path: "/getMessagesByAuthor", method: "GET", handler: getByAuthor });
// Will match /getAuthorMessages/User+123 and /getAuthorMessages/User+234 etc.
http.route({
  pathPrefix: "/getAuthorMessages/",
  method: "GET",
  handler: getByAuthorPathSuffix,
});

export default http;
