import type { UserId } from '../../../../src/matrix/ids.ts';
import type { JsonObject } from '../../../../src/matrix/pdu.ts';
import { sharingConfigType, sharingConfigTypeUnstable } from '../../../../src/matrix/presence.ts';
import type { PresenceSettings } from '../../../../src/presence/settings.ts';
import { room, user } from '../../../support/presence-world.ts';

/** Whose presence it is; she is in the rooms a and b. */
export const alice = user('alice');
export const [bob, carol, frank] = [user('bob'), user('carol'), user('frank')];
export const [dave, erin, gina] = [user('dave:there.test'), user('erin:there.test'), user('gina:there.test')];
/** All in room a; Bob and Dave in room b too. */
export const members = [bob, carol, dave, erin];
/** Both in a room without her. */
export const strangers = [frank, gina];
const everybody = '@*';

/** One row of the matrix: what is written, and who sees her because of it. */
export interface Scenario {
  readonly name: string;
  readonly config?: JsonObject;
  readonly type?: string;
  /** What is found in her account data, as no PUT would have stored it. */
  readonly found?: Readonly<Record<string, JsonObject>>;
  readonly ignored?: readonly UserId[];
  readonly settings?: Partial<PresenceSettings>;
  /** Who names her in their own config. */
  readonly wanted?: readonly UserId[];
  readonly sees: readonly UserId[];
  /** Who is let in besides, but did not ask to be told. */
  readonly permitted?: readonly UserId[];
}

export const scenarios: readonly Scenario[] = [
  { name: 'without a config everybody who shares a room', sees: members },
  { name: 'an empty config', config: {}, sees: members },
  { name: 'allow exact', config: { allowed_users: [bob, dave], denied_users: [everybody] }, sees: [bob, dave] },
  { name: 'allow glob', config: { allowed_users: ['@?a*'], denied_users: [everybody] }, sees: [carol, dave] },
  { name: 'allow room', config: { allowed_users: [room('b')], denied_users: [everybody] }, sees: [bob, dave] },
  { name: 'deny exact', config: { denied_users: [bob, erin] }, sees: [carol, dave] },
  { name: 'deny glob', config: { denied_users: ['@*:there.test'] }, sees: [bob, carol] },
  {
    name: 'deny exact over allow glob',
    config: { allowed_users: ['@*:here.test', '@*:there.test'], denied_users: [bob, erin, everybody] },
    sees: [carol, dave],
  },
  {
    name: 'allow exact over ignore',
    config: { allowed_users: [bob, dave] },
    ignored: [bob, carol, dave, erin],
    sees: [bob, dave],
  },
  { name: 'deny one of two shared rooms', config: { denied_users: [room('a')] }, sees: [bob, dave] },
  { name: 'deny all shared rooms', config: { denied_users: [room('a'), room('b')] }, sees: [] },
  { name: 'ignore', ignored: [bob, dave], sees: [carol, erin] },
  {
    name: 'nobody but one room',
    config: { allowed_users: [room('b')], denied_users: ['@**:*'] },
    sees: [bob, dave],
  },
  {
    name: 'that room, but not one member of it',
    config: { allowed_users: [room('b')], denied_users: [everybody, bob] },
    sees: [dave],
  },
  {
    name: 'my company but not Bob',
    config: { allowed_users: ['@*:here.test'], denied_users: [bob, everybody] },
    sees: [carol],
  },
  { name: 'nobody', config: { denied_users: [everybody] }, sees: [] },
  {
    name: 'no shared room, without consent',
    config: { allowed_users: [frank, gina] },
    sees: members,
    permitted: [frank, gina],
  },
  {
    name: 'no shared room, with consent',
    config: { allowed_users: [frank, gina] },
    wanted: [frank, gina],
    sees: [...members, ...strangers],
  },
  { name: 'no shared room, with consent alone', wanted: [frank, gina], sees: members },
  {
    name: "no shared room, with consent, and an administrator's override that does not speak of them",
    config: { allowed_users: [frank, gina] },
    settings: { overrideConfig: { denied_users: ['@x:example.org'] } },
    wanted: [frank, gina],
    sees: [...members, ...strangers],
  },
  {
    name: "no shared room: the administrator's default is nobody's consent",
    config: { allowed_users: [frank, gina] },
    settings: { defaultConfig: { allowed_users: [alice] } },
    sees: members,
    permitted: [frank, gina],
  },
  {
    name: 'no shared room, a glob and consent',
    config: { allowed_users: ['@*'] },
    wanted: [frank, gina],
    sees: members,
  },
  { name: 'a room that she is not in', config: { allowed_users: [room('z')], denied_users: [everybody] }, sees: [] },
  { name: 'an excluded room', settings: { excludedRooms: [room('a')] }, sees: [bob, dave] },
  {
    name: 'a glob does not reach into an excluded room, a name does',
    config: { allowed_users: ['@*:there.test', carol] },
    settings: { excludedRooms: [room('a')] },
    sees: [bob, carol, dave],
  },
  { name: 'a room that is too large', settings: { largestRoom: 4 }, sees: [bob, dave] },
  {
    name: "the administrator's default, for who has no config",
    settings: { defaultConfig: { allowed_users: [room('b')], denied_users: [everybody] } },
    sees: [bob, dave],
  },
  {
    name: "the administrator's default, from which an empty config opts out",
    settings: { defaultConfig: { denied_users: [everybody] } },
    config: {},
    sees: members,
  },
  {
    name: "the administrator's override",
    settings: { overrideConfig: { denied_users: ['@*:there.test', carol] } },
    config: { allowed_users: [...members] },
    sees: [bob],
  },
  {
    name: "the administrator's override, which lets in nobody whom she denies",
    settings: { overrideConfig: { allowed_users: [bob], denied_users: [carol] } },
    config: { denied_users: [bob] },
    sees: [dave, erin],
  },
  {
    name: "the administrator's override of a room",
    settings: { overrideConfig: { denied_users: [room('a')] } },
    sees: [bob, dave],
  },
  { name: 'the stable type', type: sharingConfigType, config: { denied_users: [bob] }, sees: [carol, dave, erin] },
  {
    name: 'the unstable type',
    type: sharingConfigTypeUnstable,
    config: { denied_users: [bob] },
    sees: [carol, dave, erin],
  },
  {
    name: 'invalid config',
    found: { [sharingConfigType]: { allowed_users: [bob, 'nonsense'] } },
    sees: [],
  },
  { name: 'an ignore list that cannot be read', found: { 'm.ignored_user_list': { ignored_users: [bob] } }, sees: [] },
  {
    name: 'different documents under the two types',
    found: { [sharingConfigType]: { denied_users: [bob] }, [sharingConfigTypeUnstable]: { denied_users: [erin] } },
    sees: [carol, dave],
  },
];
