import { acceptsType } from '../../matrix/filter.ts';
import type { RoomId } from '../../matrix/ids.ts';
import { receiptContents } from '../../matrix/receipt-content.ts';
import type { ReceiptRow } from '../../storage/contract/receipts.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import type { Answer } from '../answer.ts';
import { acceptsSection } from '../apply-filter.ts';
import { asksStorage, type SyncScope, type SyncStream, type TypingReads } from '../stream.ts';

export interface EphemeralDeps {
  readonly storage: Pick<Storage, 'receipts'>;
  readonly typing: TypingReads;
}

/** Typing and receipts of the joined rooms, without those of ignored users. */
export function createEphemeralStream(deps: EphemeralDeps): SyncStream {
  return {
    mayTell(question) {
      const known = question.since?.typing;
      const { epoch, number } = question.typing;
      return known === undefined || known.number !== number || known.epoch !== epoch || asksStorage(question);
    },
    async read(scope, answer) {
      for (const roomId of listTypingRooms(deps.typing, scope)) {
        const userIds = deps.typing.listTyping(roomId).filter((userId) => !scope.ignored.has(userId));
        answer.joinedRoom(roomId).ephemeral.push(JSON.stringify({ type: 'm.typing', content: { user_ids: userIds } }));
      }
      for (const [roomId, rows] of await listReceipts(deps, scope, answer)) {
        const texts = receiptContents(rows).map((content) => JSON.stringify({ type: 'm.receipt', content }));
        answer.joinedRoom(roomId).ephemeral.push(...texts);
      }
    },
  };
}

function accepts(scope: SyncScope, roomId: RoomId, type: string): boolean {
  const filter = scope.filter.roomEphemeral;
  return scope.rooms.joinedShown.has(roomId) && acceptsSection(filter, roomId) && acceptsType(filter, type);
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
