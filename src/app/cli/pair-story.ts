import type { LocalUser } from './local-client.ts';

export interface Pair {
  roomId: string;
  /** bob's sync token from before alice came online. */
  since: string;
  /** alice, then bob; the watcher is a second device of the same user. */
  people: { client: LocalUser; watcher: LocalUser }[];
}

/** `/sync` that shows nothing but presence. */
export const presenceOnly = {
  presence: { types: ['m.presence'] },
  account_data: { types: [] },
  room: { rooms: [] },
};

/** The tokens and the story, as lines to paste. */
export function describePair(pair: Pair): string {
  const [alice, bob] = pair.people.map(({ client }) => client);
  if (!alice || !bob) throw new Error('a pair is two people');
  const sync = syncLine(bob, { since: pair.since, about: alice.userId });
  const story: [string, string][] = [
    ['1. bob sees alice online', sync],
    ['2. alice denies bob', configLine(alice, { denied_users: [bob.userId] })],
    ["3. bob's /sync shows her offline", sync],
    ['4. alice allows only this room', configLine(alice, { allowed_users: [pair.roomId], denied_users: ['@*'] })],
    ['5. bob sees her again', sync],
    ['6. and asks for her by name', statusLine(bob, alice.userId)],
  ];
  return [
    `Two servers federate: ${alice.userId} and ${bob.userId} are in ${pair.roomId}.`,
    '',
    `  alice  ${alice.url}  ${alice.accessToken}`,
    `  bob    ${bob.url}  ${bob.accessToken}`,
    '',
    ...story.flatMap(([title, line]) => [title, `   ${line}`, '']),
    'Below, live: what each side sees. Ctrl-C stops both servers and leaves nothing behind.',
    '',
    '',
  ].join('\n');
}

function authorization(user: LocalUser): string {
  return `-H 'Authorization: Bearer ${user.accessToken}'`;
}

/** `set_presence=offline`: asking by hand does not make bob online. */
function syncLine(user: LocalUser, { since, about }: { since: string; about: string }): string {
  const filter = { ...presenceOnly, presence: { ...presenceOnly.presence, senders: [about] } };
  const query = [
    `since=${encodeURIComponent(since)}`,
    'timeout=2000',
    'set_presence=offline',
    `filter=${encodeURIComponent(JSON.stringify(filter))}`,
  ].join('&');
  return `curl -s ${authorization(user)} '${user.url}/_matrix/client/v3/sync?${query}'`;
}

function configLine(user: LocalUser, config: unknown): string {
  const path = `/user/${encodeURIComponent(user.userId)}/account_data/m.presence_sharing_config`;
  return `curl -s -X PUT ${authorization(user)} '${user.url}/_matrix/client/v3${path}' -d '${JSON.stringify(config)}'`;
}

function statusLine(user: LocalUser, subject: string): string {
  const path = `/presence/${encodeURIComponent(subject)}/status`;
  return `curl -s ${authorization(user)} '${user.url}/_matrix/client/v3${path}'`;
}
