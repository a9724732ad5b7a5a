import { httpRouter } from "convex/server";
import { api } from "./_generated/api";
import { httpAction } from "./_generated/server";

const http = httpRouter();

/** curl http://127.0.0.1:3210/tasks -d 'Water the plants' */
http.route({
  path: "/tasks",
  method: "POST",
  handler: httpAction(async (ctx, request) => {
    const id = await ctx.runMutation(api.tasks.create, { text: await request.text() });
    return Response.json({ id }, { status: 201 });
  }),
});

export default http;
