import { serverOfUser, type UserId } from '../../../src/matrix/ids.ts';
import { here, there } from '../../support/presence-world.ts';

/** Servers whose users have settings of their own; those of the wire server are written to by nobody. */
const simulated: readonly string[] = [here, there];

export interface Config {
  readonly allowed: readonly string[];
  readonly denied: readonly string[];
}

/** All that decides who sees whom, as plain data. */
export interface Facts {
  readonly members: Readonly<Record<string, readonly UserId[]>>;
  readonly configs: Readonly<Record<UserId, Config | undefined>>;
  readonly ignored: Readonly<Record<UserId, readonly UserId[] | undefined>>;
  readonly excluded: readonly string[];
  readonly largestRoom: number | null;
  readonly oversized: readonly string[];
  readonly byDefault: Config | null;
  readonly override: Config | null;
}

const isCatchAll = (entry: string) => /^@\*+(:\*+)?$/.test(entry);
const isGlob = (entry: string) => entry.startsWith('@') && /[*?]/.test(entry);
const matches = (glob: string, user: UserId) =>
  new RegExp(`^${glob.replace(/[.]/g, '\\.').replace(/\*+/g, '.*').replace(/\?/g, '.')}$`).test(user);

/** The nine steps of section 4, from top to bottom. */
function step(s: UserId, v: UserId, config: Config, ignored: readonly UserId[], facts: Facts): [number, boolean] {
  const shared = countingRooms(s, v, facts);
  if (v === s) return [1, true];
  if (config.allowed.includes(v)) return [2, true];
  if (ignored.includes(v) || config.denied.includes(v)) return [3, false];
  if (config.allowed.some((entry) => isGlob(entry) && matches(entry, v)) && shared.length > 0) return [4, true];
  if (config.denied.some((entry) => isGlob(entry) && !isCatchAll(entry) && matches(entry, v))) return [5, false];
  if (shared.some((room) => config.allowed.includes(room))) return [6, true];
  if (config.denied.some(isCatchAll)) return [7, false];
  if (shared.some((room) => !config.denied.includes(room))) return [8, true];
  return [9, false];
}

export function rooms(a: UserId, b: UserId, { members }: Facts): string[] {
  return Object.keys(members).filter((room) => members[room]?.includes(a) && members[room]?.includes(b));
}

export function sharesARoom(subject: UserId, viewer: UserId, facts: Facts): boolean {
  return rooms(subject, viewer, facts).length > 0;
}

export function names(viewer: UserId, subject: UserId, { configs }: Facts): boolean {
  return configs[viewer]?.allowed.includes(subject) === true;
}

function countingRooms(a: UserId, b: UserId, facts: Facts): string[] {
  return rooms(a, b, facts).filter((room) => !facts.excluded.includes(room) && !facts.oversized.includes(room));
}

/** Whether S lets V see them. */
export function maySee(s: UserId, v: UserId, facts: Facts): boolean {
  const config = facts.configs[s] ?? facts.byDefault ?? { allowed: [], denied: [] };
  if (!step(s, v, config, facts.ignored[s] ?? [], facts)[1]) return false;
  if (facts.override === null || s === v) return true;
  const [number, yes] = step(s, v, facts.override, [], facts);
  return yes || (number === 9 && countingRooms(s, v, facts).length === 0);
}

/** Whether V is given what S says: without a shared room V must want it. */
export function isGiven(s: UserId, v: UserId, facts: Facts): boolean {
  if (!maySee(s, v, facts)) return false;
  if (s === v || rooms(s, v, facts).length > 0) return true;
  if (!simulated.includes(serverOfUser(v))) return false;
  return facts.configs[v]?.allowed.includes(s) === true && !facts.ignored[v]?.includes(s);
}

/**
 * Whether what S says goes to the whole server of V, "now and for every future member": then V, who is not in a room with S, is shown
 * it by their server when they come ("who is covered by what the destination already holds causes nothing").
 */
export function isForWhoeverComes(s: UserId, v: UserId, facts: Facts, known: readonly UserId[]): boolean {
  const server = serverOfUser(v);
  const ofServer = known.filter((user) => serverOfUser(user) === server);
  if (server === serverOfUser(s) || !ofServer.some((user) => rooms(s, user, facts).length > 0)) return false;
  const joined = Object.entries(facts.members).filter(([, members]) => members.includes(s));
  return [...ofServer, `@new:${server}` as UserId].every((user) =>
    joined.every(([room, members]) => {
      const others = Object.entries(facts.members).map(([other, users]) => [
        other,
        users.filter((one) => one !== user),
      ]);
      return maySee(s, user, { ...facts, members: { ...Object.fromEntries(others), [room]: [...members, user] } });
    }),
  );
}

/** "Rooms above the largest size that counts do not count (again only below 80 % of the limit)." */
export function withSizes(facts: Facts): Facts {
  const limit = facts.largestRoom;
  if (limit === null) return facts;
  const oversized = Object.entries(facts.members).flatMap(([room, { length }]) =>
    length > limit || (facts.oversized.includes(room) && length >= 0.8 * limit) ? [room] : [],
  );
  return { ...facts, oversized };
}
