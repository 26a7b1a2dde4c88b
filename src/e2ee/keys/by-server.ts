import type { Clock } from '../../base/clock.ts';
import { Slots } from '../../base/tasks/slots.ts';
import { FederationError } from '../../federation-out/requests-contract.ts';
import type { ServerName } from '../../matrix/server-name.ts';

/** By server; "the names of the properties are the names of the unreachable servers" (client-server API, `POST /keys/query`). */
export type KeyFailures = Record<string, { status: number; message: string }>;

/** Servers that are asked at once for one request. */
const serversAtOnce = 30;
/** "10 seconds is the recommended default." */
const timeoutDefaultMs = 10_000;
const timeoutMaxMs = 20_000;
const timeoutMinMs = 1_000;

/** Asks every server what it alone can answer, side by side, within the time that the client gives; those that fail are named. */
export async function askServers<Question>(
  questions: ReadonlyMap<ServerName, Question>,
  asked: { readonly timeoutMs: number | undefined; readonly clock: Clock },
  ask: (server: ServerName, question: Question, timeoutMs: number) => Promise<void>,
): Promise<KeyFailures> {
  const failures: KeyFailures = {};
  const timeoutMs = Math.min(Math.max(asked.timeoutMs ?? timeoutDefaultMs, timeoutMinMs), timeoutMaxMs);
  const endsAtMs = asked.clock.monotonic() + timeoutMs;
  const slots = new Slots({ runningMax: serversAtOnce, waitingMax: questions.size });
  const askOne = async (server: ServerName, question: Question): Promise<void> => {
    try {
      const leftMs = endsAtMs - asked.clock.monotonic();
      if (leftMs <= 0) throw new FederationError('unreachable', 'There was no time left to ask');
      await ask(server, question, leftMs);
    } catch (error) {
      if (!(error instanceof FederationError)) throw error;
      failures[server] = { status: error.status ?? 503, message: describe(error) };
    }
  };
  await Promise.all([...questions].map(([server, question]) => slots.run(() => askOne(server, question))));
  return failures;
}

/** Not the server's own words, nor what our network says of it. */
function describe({ outcome }: FederationError): string {
  if (outcome === 'refused') return 'The server refused';
  return outcome === 'bad_answer' ? 'The server did not answer as it should' : 'The server cannot be reached';
}
