import type { EventId, RoomId, UserId } from '../matrix/ids.ts';
import type { Roster } from '../roster/roster.ts';
import type { Row } from '../storage/contract/commit.ts';
import type { Storage } from '../storage/contract/storage.ts';
import { commitRows, getReadableEvent, type Receipts } from './receipts.ts';

const fullyReadType = 'm.fully_read';

export interface ReadMarkersDeps {
  storage: {
    accountData: Pick<Storage['accountData'], 'find'>;
    events: Pick<Storage['events'], 'findTimelineEvent'>;
    commit: Storage['commit'];
  };
  roster: Pick<Roster, 'isJoined'>;
  receipts: Pick<Receipts, 'rowsFor' | 'tellOthers'>;
}

export interface SetReadMarkers {
  roomId: RoomId;
  fullyRead?: EventId | undefined;
  read?: EventId | undefined;
  readPrivate?: EventId | undefined;
}

/** "The fully read marker is kept as an event in the room's account data" (client-server API, "Fully read markers"). */
export interface ReadMarkers {
  /**
   * Marker and receipts in one commit: all of them or, when one is refused, none. Throws what setting a receipt throws. What
   * stands already is not written again.
   */
  set(userId: UserId, request: SetReadMarkers): Promise<void>;
}

export function createReadMarkers(deps: ReadMarkersDeps): ReadMarkers {
  const { storage, receipts } = deps;

  async function rowsForMarker(userId: UserId, roomId: RoomId, eventId: EventId): Promise<Row[]> {
    await getReadableEvent(deps, userId, { roomId, eventId });
    const known = await storage.accountData.find(userId, roomId, fullyReadType);
    if (known?.content.event_id === eventId) return [];
    return [{ kind: 'account_data', userId, roomId, type: fullyReadType, content: { event_id: eventId } }];
  }

  return {
    async set(userId, { roomId, fullyRead, read, readPrivate }) {
      const rows: Row[] = [];
      if (fullyRead) rows.push(...(await rowsForMarker(userId, roomId, fullyRead)));
      if (read) rows.push(...(await receipts.rowsFor(userId, { roomId, receiptType: 'm.read', eventId: read })));
      if (readPrivate) {
        rows.push(...(await receipts.rowsFor(userId, { roomId, receiptType: 'm.read.private', eventId: readPrivate })));
      }
      await commitRows(storage, rows);
      receipts.tellOthers(rows);
    },
  };
}
