import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { pipeline } from 'node:stream';

/** Where Complement reaches the homeservers. */
export const publishedAddress = '127.0.0.1';

/** A port of `publishedAddress` that leads to a port of a homeserver. */
export interface PublishedPort {
  readonly containerPort: number;
  readonly port: number;
  close(): void;
}

/** Takes a free port that leads to `address:containerPort`, whether or not anybody listens there yet. */
export async function publishPort(address: string, containerPort: number): Promise<PublishedPort> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (inbound) => {
    const outbound = connect({ host: address, port: containerPort, allowHalfOpen: true, noDelay: true });
    // An error on one side closes the other; nobody else needs to know.
    pipeline(inbound, outbound, inbound, () => {});
  });
  server.listen(0, publishedAddress);
  await once(server, 'listening');
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('a TCP server has an address and a port');
  return { containerPort, port: bound.port, close: () => server.close() };
}
