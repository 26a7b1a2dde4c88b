import type { ServerResponse } from 'node:http';
import { listen } from '../../src/http/listen.ts';

/**
 * The least that a long-poll can cost in Node: a program on a listener like the server's that holds every GET until a PUT comes, whose body is then the answer to all of them. With an
 * argument it lets nobody wait for longer than the request's `timeout`, and the argument is the answer at its end. Says its port when it listens.
 */
const held = new Map<ServerResponse, number>();
const nothing = process.argv[2];
/** As every answer of the server has them, so that as many bytes go out. */
const headers = {
  'X-Request-Id': 'AbCdEfGhIjKl',
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Methods': 'GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS',
  'Access-Control-Allow-Headers': 'X-Requested-With, Content-Type, Authorization',
  'Access-Control-Expose-Headers': 'X-Request-Id, Retry-After',
  'Content-Type': 'application/json',
};
/** A timer for each request would make it cost twice as much. */
const lookEveryMs = 500;

function answer(response: ServerResponse, body: Buffer): void {
  held.delete(response);
  response.writeHead(200, { ...headers, 'Content-Length': body.length }).end(body);
}

function endsAtMs(url = ''): number {
  return nothing === undefined ? 0 : performance.now() + Number(/[?&]timeout=(\d+)/.exec(url)?.[1]);
}

const { port } = await listen({
  address: '127.0.0.1',
  port: 0,
  listener: (request, response) => {
    if (request.method === 'GET') {
      held.set(response, endsAtMs(request.url));
      response.once('close', () => held.delete(response));
      return;
    }
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const body = Buffer.concat(parts);
      for (const waiting of held.keys()) answer(waiting, body);
      response.end();
    });
  },
});
process.stdout.write(`port ${port}\n`);
process.on('SIGTERM', () => process.exit(0));

if (nothing !== undefined) {
  const body = Buffer.from(nothing);
  setInterval(() => {
    const now = performance.now();
    // In the order of their ends: all of them wait for equally long.
    for (const [response, endsAt] of held) {
      if (endsAt > now) break;
      answer(response, body);
    }
  }, lookEveryMs);
}
