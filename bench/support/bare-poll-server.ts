import { createServer, type ServerResponse } from 'node:http';

/**
 * The least that a long-poll can cost in Node: a program that holds every GET until a PUT comes, whose body is then the answer to all of them. Says its
 * port when it listens.
 */
const held = new Set<ServerResponse>();

const server = createServer((request, response) => {
  if (request.method === 'GET') {
    held.add(response);
    response.once('close', () => held.delete(response));
    return;
  }
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    const body = Buffer.concat(parts);
    const headers = { 'content-type': 'application/json', 'content-length': body.length };
    for (const waiting of held) waiting.writeHead(200, headers).end(body);
    held.clear();
    response.end();
  });
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.stdout.write(`port ${typeof address === 'object' && address ? address.port : 0}\n`);
});
process.on('SIGTERM', () => process.exit(0));
