import type { RoomId, UserId } from '../../matrix/ids.ts';
import type { Roster } from '../../roster/roster.ts';
import type { EntryList } from '../sharing-config.ts';
import { strangerServersOf } from '../sharing-rules.ts';
import type { Basis } from './decision.ts';
import type { ServerLine } from './lines.ts';

/** Something in a config that does not do what its writer may expect. `entry`: the entry or server that it is about. */
export interface Warning {
  readonly code:
    | 'presence_is_off'
    | 'not_sent_to_servers'
    | 'config_unreadable'
    | 'allow_overrides_ignore'
    | 'not_in_room'
    | 'room_does_not_count'
    | 'matches_nobody'
    | 'server_not_told'
    | 'server_may_not_honour_list'
    | 'server_withheld';
  readonly entry: string | null;
  readonly message: string;
}

export interface WarningFacts extends Basis {
  readonly subject: UserId;
  readonly ownServer: Parameters<typeof strangerServersOf>[1];
  readonly roster: Pick<Roster, 'usersIn'>;
  /** Everybody who shares a room with the subject. */
  readonly sharing: ReadonlySet<UserId>;
  readonly servers: readonly ServerLine[];
  readonly settings: { readonly enabled: boolean; readonly outbound: boolean };
}

/** Says nothing of who exists or who wants to be told: only what the subject can know of their own lists and rooms. */
export function listWarnings(given: WarningFacts): Warning[] {
  return [...settingWarnings(given), ...configWarnings(given), ...serverWarnings(given)];
}

function* settingWarnings({ settings }: WarningFacts): Generator<Warning> {
  if (!settings.enabled)
    yield warning('presence_is_off', null, 'Presence is switched off on this server: nobody sees it');
  else if (!settings.outbound)
    yield warning('not_sent_to_servers', null, 'This server sends no presence to other servers');
}

function* configWarnings(given: WarningFacts): Generator<Warning> {
  const { configs, ignored, unreadable } = given.facts.rulesOf(given.subject);
  if (unreadable) yield warning('config_unreadable', null, 'The stored settings cannot be read: nobody sees you');
  const said = new Set<string>();
  for (const { allowed, denied } of configs) {
    for (const found of [
      ...overriddenIgnores(allowed, ignored),
      ...listWarningsOf('allowed_users', allowed, given),
      ...listWarningsOf('denied_users', denied, given),
    ]) {
      // Two documents of an old database may hold the same entry.
      const key = JSON.stringify([found.code, found.message]);
      if (!said.has(key)) yield found;
      said.add(key);
    }
  }
}

function* overriddenIgnores(allowed: EntryList, ignored: ReadonlySet<UserId>): Generator<Warning> {
  for (const user of ignored)
    if (allowed.users.has(user))
      yield warning('allow_overrides_ignore', user, `${user} is ignored, but allowed by name, and so sees you`);
}

function* listWarningsOf(
  name: string,
  { globs, rooms }: EntryList,
  { subject, ground, roster, sharing }: WarningFacts,
): Generator<Warning> {
  const joined = ground.roomsOf(subject);
  for (const { text, matches } of globs) {
    if (![...sharing].some((user) => matches(user)))
      yield warning('matches_nobody', text, `${text} in ${name} matches nobody with whom you share a room`);
  }
  for (const entry of rooms) {
    // Entries that begin as room ids do were taken for such.
    const roomId = entry as RoomId;
    if (!joined.has(roomId)) yield warning('not_in_room', entry, `You are not in ${entry}, which stands in ${name}`);
    else if (!ground.counts(roomId))
      yield warning('room_does_not_count', entry, `${entry} in ${name} does not count: it is too large, or excluded`);
    else if (roster.usersIn(roomId).size <= 1)
      yield warning('matches_nobody', entry, `Nobody else is in ${entry}, which stands in ${name}`);
  }
}

function* serverWarnings({ facts, subject, ownServer, servers, settings }: WarningFacts): Generator<Warning> {
  if (!settings.enabled || !settings.outbound) return;
  const rules = facts.rulesOf(subject);
  const told = new Set([...strangerServersOf(rules, ownServer), ownServer]);
  for (const [server, users] of rules.namedByServer) {
    if (told.has(server) || users.every((user) => facts.shareRoom(subject, user))) continue;
    const message = `Users of ${server} who share no room with you are not told: your list names too many servers`;
    yield warning('server_not_told', server, message);
  }
  for (const { server, honoursList, isWhole, isWithheld, viewers } of servers) {
    if (isWithheld)
      yield warning('server_withheld', server, `${server} is told nothing: it is not known to honour your choice`);
    if (honoursList || isWhole || viewers === 0) continue;
    const message = `${server} is not known to honour your choice: it may show you to all of its users in your rooms`;
    yield warning('server_may_not_honour_list', server, message);
  }
}

function warning(code: Warning['code'], entry: string | null, message: string): Warning {
  return { code, entry, message };
}
