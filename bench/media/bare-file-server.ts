import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/**
 * The least that keeping a file can cost in Node: a program that hashes and writes down what is posted, syncs it, and sends it again. The folder is its
 * argument; says its port when it listens.
 */
const folder = process.argv[2] ?? '.';

const server = createServer((request, response) => {
  void (async () => {
    if (request.method === 'GET') return pipeline(createReadStream(join(folder, 'file')), response);
    const hash = createHash('sha256');
    const tee = new PassThrough().on('data', (chunk) => hash.update(chunk));
    await pipeline(request, tee, createWriteStream(join(folder, 'incoming')));
    const handle = await open(join(folder, 'incoming'));
    await handle.datasync();
    await handle.close();
    await rename(join(folder, 'incoming'), join(folder, 'file'));
    response.end(hash.digest('hex'));
  })();
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.stdout.write(`port ${typeof address === 'object' && address ? address.port : 0}\n`);
});
process.on('SIGTERM', () => process.exit(0));
