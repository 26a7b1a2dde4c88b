// A driver as tools/complement-host starts them: answers every request with what it finds in its environment and its data.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

const { SERVER_NAME, DATA_DIR, CA_DIR, APPSERVICE_DIR, CLIENT_ADDRESS, CLIENT_PORT, STUBBORN, ENDS_WITH } = process.env;
console.log(`${SERVER_NAME} starts`);
if (ENDS_WITH) process.exit(Number(ENDS_WITH));
if (STUBBORN) process.on('SIGTERM', () => {});

const starts = join(DATA_DIR, 'starts');
writeFileSync(starts, `${existsSync(starts) ? readFileSync(starts, 'utf8') : ''}${SERVER_NAME};`);
const server = createServer((_request, response) => {
  const authority = join(CA_DIR, 'ca.crt');
  response.end(
    JSON.stringify({
      name: SERVER_NAME,
      starts: readFileSync(starts, 'utf8'),
      authority: existsSync(authority) ? readFileSync(authority, 'utf8') : null,
      services: readdirSync(APPSERVICE_DIR),
    }),
  );
});
server.listen(Number(CLIENT_PORT), CLIENT_ADDRESS, () => process.send?.('ready'));
