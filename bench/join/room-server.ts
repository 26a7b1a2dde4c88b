import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { UserId } from '../../src/matrix/ids.ts';
import type { ServerName } from '../../src/matrix/server-name.ts';
import { signingKeyOfSeed } from '../../src/signing/ed25519.ts';
import { type Signer, signJson } from '../../src/signing/sign-json.ts';
import { type LargeRoom, makeLargeRoom } from './large-room.ts';

/**
 * `room-server.js CERTIFICATE KEY SERVERS MEMBERS`: plays that many servers, at 127.0.0.1, 127.0.0.2 and so on, and lets everybody join one
 * room of theirs. Says what it is called as one line of JSON once it answers.
 */
const [certificate = '', key = '', serversText = '1', membersText = '1'] = process.argv.slice(2);
const tls = { cert: readFileSync(certificate), key: readFileSync(key) };
const signers: Signer[] = [];

function listen(address: string, port: number): Promise<number> {
  const server = createServer(tls, (request, response) => void answer(request, response));
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, address, () => resolve((server.address() as AddressInfo).port));
  });
}

let port = 0;
for (let index = 0; index < Number(serversText); index += 1) {
  const address = `127.0.0.${index + 1}`;
  port = await listen(address, port);
  const server = `${address}:${port}` as ServerName;
  signers.push({ server, key: signingKeyOfSeed(new Uint8Array(32).fill(index + 1), 'bench') });
}
const room: LargeRoom = makeLargeRoom(signers, Number(membersText));
const joinAnswer = Buffer.from(
  `{"origin":"bench","state":[${room.state.join(',')}],"auth_chain":[${room.authChain.join(',')}]}`,
);

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  request.resume();
  const url = request.url ?? '';
  const say = (body: unknown) => response.end(body instanceof Buffer ? body : JSON.stringify(body));
  response.setHeader('content-type', 'application/json');
  if (url.includes('/key/v2/server')) say(keysOf(request.headers.host ?? ''));
  else if (url.includes('/make_join/')) {
    const userId = decodeURIComponent(url.split('?', 1)[0]?.split('/').at(-1) ?? '') as UserId;
    say({ room_version: room.version, event: room.templateFor(userId) });
  } else if (url.includes('/send_join/')) say(joinAnswer);
  else say({ pdus: {} });
}

function keysOf(host: string): unknown {
  const signer = signers.find(({ server }) => server === host);
  if (!signer) return {};
  const { keyId, publicKey } = signer.key;
  const keys = {
    server_name: host,
    verify_keys: { [keyId]: { key: publicKey } },
    old_verify_keys: {},
    valid_until_ts: Date.now() + 86_400_000,
  };
  return signJson(keys, signer);
}

process.stdout.write(
  `${JSON.stringify({ roomId: room.roomId, server: signers[0]?.server, answerBytes: joinAnswer.length })}\n`,
);
