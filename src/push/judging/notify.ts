import { type EventId, isUserId, serverOfUser, type UserId } from '../../matrix/ids.ts';
import type { RoomEvent } from '../../matrix/pdu.ts';
import { defaultPushRules, type PushAction } from '../../matrix/push-rules.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Roster } from '../../roster/roster.ts';
import type { Row } from '../../storage/contract/commit.ts';
import type { PushVerdict } from '../../storage/contract/unread.ts';
import { compilePushRules, type Evaluate } from '../evaluate.ts';
import type { Ignorers } from './ignorers.ts';
import { type JudgedEvent, Judgement } from './judgement.ts';
import type { OwnRules } from './own-rules.ts';

export interface NotifyDeps {
  readonly serverName: ServerName;
  readonly roster: Pick<Roster, 'localUsersIn' | 'usersIn' | 'isJoined'>;
  readonly ownRules: Pick<OwnRules, 'owners' | 'compiledOf'>;
  readonly ignorers: Pick<Ignorers, 'of'>;
  /** The root of the thread that the event is in. */
  readonly findThread: (event: RoomEvent) => Promise<EventId | undefined>;
}

/** The rules of whoever changed none, has no name and is named by nobody: the default ones as they are for most. No user has this id. */
const nobody = '@' as UserId;
const ofNobody: Evaluate = compilePushRules(defaultPushRules(nobody));
const silence: PushVerdict = { actions: [], notifies: false, highlights: false };
/** Users that an event may name to have them notified; further ones are notified like everybody. */
const mentionsMax = 1_000;

/**
 * The rows that an event brings for who is notified of it and who has read it by sending it. The default rules are judged once; singly only
 * who has rules of their own, is named by the event, or ignores its sender, and only a verdict that differs becomes a row.
 */
export function createNotify(deps: NotifyDeps): (judged: JudgedEvent) => Promise<Row[]> {
  const isLocal = (userId: UserId): boolean => serverOfUser(userId) === deps.serverName;

  return async (judged) => {
    const { event } = judged;
    const { roomId, eventId, pdu } = event;
    const { sender } = pdu;
    const isOwnMember = pdu.type === 'm.room.member' && pdu.state_key === sender;
    const arrives = isOwnMember && pdu.content.membership === 'join' && !deps.roster.isJoined(roomId, sender);
    const verdicts = await judgeFor(deps, judged, findInvited(event, isLocal));
    // A change of one's profile is no word in the room.
    const reads = isLocal(sender) && !isOwnMember && deps.roster.isJoined(roomId, sender);
    const threadId = verdicts || reads ? ((await deps.findThread(event)) ?? null) : null;
    const rows: Row[] = [];
    if (verdicts) rows.push({ kind: 'notification', roomId, eventId, sender, threadId, ...verdicts });
    if (reads) rows.push({ kind: 'read_place', roomId, userId: sender, thread: threadId ?? 'main', eventId });
    if (arrives && isLocal(sender)) rows.push({ kind: 'arrival', roomId, userId: sender, eventId });
    return rows;
  };
}

interface Verdicts {
  readonly everybody: PushVerdict;
  readonly singly: readonly { readonly userId: UserId; readonly verdict: PushVerdict }[];
}

/** Undefined where nobody is notified. */
async function judgeFor(
  deps: NotifyDeps,
  judged: JudgedEvent,
  invited: UserId | undefined,
): Promise<Verdicts | undefined> {
  const { roomId, pdu } = judged.event;
  const { sender } = pdu;
  const locals = deps.roster.localUsersIn(roomId);
  const isAnybodyThere = locals.size > (locals.has(sender) ? 1 : 0);
  if (!isAnybodyThere && invited === undefined) return undefined;
  const ignoring = deps.ignorers.of(sender);
  const singly = new Set<UserId>();
  for (const userId of listMentioned(judged.event)) if (locals.has(userId)) singly.add(userId);
  for (const userId of common(deps.ownRules.owners, locals)) singly.add(userId);
  if (invited !== undefined) singly.add(invited);
  for (const userId of ignoring) singly.delete(userId);
  singly.delete(sender);
  const rules = singly.size > 0 ? await deps.ownRules.compiledOf(singly) : new Map<UserId, Evaluate>();
  const judgement = new Judgement(judged, deps.roster.usersIn(roomId).size);
  const [everybody = silence, ...own] = await judgement.judge([[null, ofNobody], ...rules]);
  const users = [...rules.keys()].map((userId, index) => ({ userId, verdict: own[index] ?? silence }));
  for (const userId of common(ignoring, locals)) users.push({ userId, verdict: silence });
  const differing = users.filter(({ verdict }) => !isSame(verdict, everybody));
  return everybody.notifies || differing.length > 0 ? { everybody, singly: differing } : undefined;
}

function findInvited(event: RoomEvent, isLocal: (userId: UserId) => boolean): UserId | undefined {
  const { type, content, state_key: target } = event.pdu;
  const isInvite = type === 'm.room.member' && content.membership === 'invite';
  return isInvite && isUserId(target) && isLocal(target) ? target : undefined;
}

/** "`user_ids`: A list of Matrix IDs of mentioned users." Whatever else stands there names nobody. */
function listMentioned({ pdu }: RoomEvent): UserId[] {
  const mentions = pdu.content['m.mentions'];
  if (typeof mentions !== 'object' || mentions === null || !('user_ids' in mentions)) return [];
  const { user_ids: userIds } = mentions;
  return Array.isArray(userIds) ? userIds.slice(0, mentionsMax).filter(isUserId) : [];
}

function common(a: ReadonlySet<UserId>, b: ReadonlySet<UserId>): UserId[] {
  const [few, many] = a.size <= b.size ? [a, b] : [b, a];
  return [...few].filter((userId) => many.has(userId));
}

function isSame({ actions: a }: PushVerdict, { actions: b }: PushVerdict): boolean {
  if (a === b) return true;
  // Nearly all actions are words.
  const isEqual = (action: PushAction, index: number): boolean =>
    action === b[index] || JSON.stringify(action) === JSON.stringify(b[index]);
  return a.length === b.length && a.every(isEqual);
}
