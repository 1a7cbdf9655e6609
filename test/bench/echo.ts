// The yardstick of `insert`: a bare Hono application that parses JSON and answers it.

import { Hono } from "hono";

const app = new Hono();
app.post("/echo", async (context) => context.json(await context.req.json(), 201));
const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: app.fetch });
console.log(`listening ${server.port}`);
