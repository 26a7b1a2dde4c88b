import type { RecentNow } from '../../feed/recent-reads.ts';
import { acceptsRoom, acceptsType } from '../../matrix/filter.ts';
import type { RoomId, UserId } from '../../matrix/ids.ts';
import { receiptContents } from '../../matrix/receipt-content.ts';
import type { Roster } from '../../roster/roster.ts';
import type { ReceiptRow } from '../../storage/contract/receipts.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import type { Answer } from '../answer.ts';
import { acceptsSection } from '../apply-filter.ts';
import { mayBeNews, type SyncQuestion, type SyncScope, type SyncStream, type TypingReads, touches } from '../stream.ts';

export interface EphemeralDeps {
  readonly storage: Pick<Storage, 'receipts'>;
  readonly typing: TypingReads;
  readonly roster: Pick<Roster, 'roomsOf'>;
  readonly recent: Pick<RecentNow, 'findIgnored'>;
}

/** Typing and receipts of the joined rooms, without those of ignored users. */
export function createEphemeralStream(deps: EphemeralDeps): SyncStream {
  const hasReceipts = (question: SyncQuestion): boolean =>
    mayBeNews(question, ({ receiptRooms }) => touches(receiptRooms, deps.roster.roomsOf(question.viewer.userId)));
  return {
    mayTell: (question) => hasTyped(question) || hasReceipts(question),
    // Typing's, for clients that know where it stood; receipts are rows.
    readNow(question, answer) {
      const ignored = deps.recent.findIgnored(question.viewer.userId);
      const known = question.since?.typing;
      if (ignored === undefined || known?.epoch !== question.typing.epoch || hasReceipts(question)) return false;
      const rooms = deps.roster.roomsOf(question.viewer.userId);
      for (const roomId of deps.typing.roomsChangedSince(known.number)) {
        if (!rooms.has(roomId) || !acceptsRoom(question.filter, roomId)) continue;
        if (acceptsEdu(question, roomId, 'm.typing')) addTyping(deps.typing, { roomId, ignored }, answer);
      }
      return true;
    },
    async read(scope, answer) {
      for (const roomId of listTypingRooms(deps.typing, scope)) {
        addTyping(deps.typing, { roomId, ignored: scope.ignored }, answer);
      }
      for (const [roomId, rows] of await listReceipts(deps, scope, answer)) {
        const texts = receiptContents(rows).map((content) => JSON.stringify({ type: 'm.receipt', content }));
        answer.joinedRoom(roomId).ephemeral.push(...texts);
      }
    },
  };
}

function hasTyped({ since, typing: { epoch, number } }: SyncQuestion): boolean {
  const known = since?.typing;
  return known === undefined || known.number !== number || known.epoch !== epoch;
}

function addTyping(
  typing: TypingReads,
  { roomId, ignored }: { readonly roomId: RoomId; readonly ignored: ReadonlySet<UserId> },
  answer: Answer,
): void {
  const userIds = typing.listTyping(roomId).filter((userId) => !ignored.has(userId));
  answer.joinedRoom(roomId).ephemeral.push(JSON.stringify({ type: 'm.typing', content: { user_ids: userIds } }));
}

function accepts(scope: SyncScope, roomId: RoomId, type: string): boolean {
  return scope.rooms.joinedShown.has(roomId) && acceptsEdu(scope, roomId, type);
}

function acceptsEdu({ filter: { roomEphemeral } }: SyncQuestion, roomId: RoomId, type: string): boolean {
  return acceptsSection(roomEphemeral, roomId) && acceptsType(roomEphemeral, type);
}

/**
 * Rooms whose list of typing users the client must hear. To a client that knows nothing of this process, only lists with
 * somebody on them are news.
 */
function listTypingRooms(typing: TypingReads, scope: SyncScope): Set<RoomId> {
  const rooms = new Set<RoomId>();
  const known = scope.since?.typing;
  const continues = known !== undefined && known.epoch === typing.epoch;
  if (continues) for (const roomId of typing.roomsChangedSince(known.number)) rooms.add(roomId);
  for (const roomId of continues ? scope.rooms.newlyJoined : scope.rooms.joinedShown) {
    if (typing.listTyping(roomId).length > 0) rooms.add(roomId);
  }
  return new Set([...rooms].filter((roomId) => accepts(scope, roomId, 'm.typing')));
}

/** Receipts to be told, by room: new ones, and all of a room that is new to the client. Private ones only to their owner. */
async function listReceipts(deps: EphemeralDeps, scope: SyncScope, answer: Answer): Promise<Map<RoomId, ReceiptRow[]>> {
  const byRoom = new Map<RoomId, ReceiptRow[]>();
  const { knownShown, newlyJoined } = scope.rooms;
  const { receipts } = deps.storage;
  const isNews = knownShown.size > 0 && scope.upTo > scope.after;
  const rows = [
    ...(isNews ? await receipts.listSince(knownShown, scope.after, scope.upTo) : []),
    ...(newlyJoined.size > 0 ? await receipts.listOfRooms(newlyJoined, scope.upTo) : []),
  ];
  for (const row of rows) {
    // Whoever reads on has less unread, which is told also where receipts are not.
    if (row.userId === scope.viewer.userId && scope.rooms.joinedShown.has(row.roomId)) answer.joinedRoom(row.roomId);
    if (!accepts(scope, row.roomId, 'm.receipt') || !isVisible(scope, row)) continue;
    const ofRoom = byRoom.get(row.roomId);
    if (ofRoom) ofRoom.push(row);
    else byRoom.set(row.roomId, [row]);
  }
  return byRoom;
}

function isVisible(scope: SyncScope, row: ReceiptRow): boolean {
  if (row.userId === scope.viewer.userId) return true;
  return row.receiptType === 'm.read' && !scope.ignored.has(row.userId);
}
