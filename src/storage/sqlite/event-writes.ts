import { assert } from '../../base/assert.ts';
import { type EventId, isUserId, type RoomId } from '../../matrix/ids.ts';
import {
  authEventIdsOf,
  depthOf,
  isStateEvent,
  originServerTsOf,
  prevEventIdsOf,
  stateKeyOf,
} from '../../matrix/pdu.ts';
import { isListingState } from '../../matrix/room-listing.ts';
import type { EventTableRow } from '../contract/events.ts';
import type { Position, SnapshotId } from '../contract/numbers.ts';
import type { Connection } from './core/database.ts';
import type { Numbering } from './core/numbering.ts';
import type { SnapshotLayers } from './core/snapshot-layers.ts';
import type { Entry, ManyWrites, RowOf, Step, Writes } from './core/writes.ts';
import { createEventGraph } from './event-graph.ts';
import { type Inserted, type MemberProfile, prepareEventStatements, type Settled } from './event-rows.ts';
import { textsOf } from './event-text.ts';
import type { MessageWords } from './message-words.ts';
import type { RoomListings } from './room-listings.ts';
import type { UnreadWrites } from './unread-writes.ts';
import type { DirectoryNames } from './user-directory.ts';
import type { WaitingEventWrites } from './waiting-events.ts';

const keepTransactionsMs = 24 * 60 * 60 * 1000;
/** Old transaction ids that each new one removes: more than one, so that the table shrinks. */
const pruneMax = 20;

interface Deps {
  connection: Connection;
  rooms: Numbering<RoomId>;
  events: Numbering<EventId>;
  snapshots: SnapshotLayers;
  listings: RoomListings;
  waiting: Pick<WaitingEventWrites, 'listAwaited'>;
  names: DirectoryNames;
  unread: Pick<UnreadWrites, 'redact'>;
  words: MessageWords;
}

export interface EventWrites {
  readonly rows: Writes<Exclude<EventTableRow['kind'], 'event'>>;
  readonly many: ManyWrites<'event'>;
}

export function createEventWrites(deps: Deps): EventWrites {
  const { connection, rooms, events, snapshots, listings, names, words } = deps;
  const statements = prepareEventStatements(connection);
  const graph = createEventGraph(connection);

  const findReplaced = (snapshotBefore: SnapshotId | null, type: string, stateKey: string | null): number | null => {
    if (snapshotBefore === null || stateKey === null) return null;
    return snapshots.findEventNo(snapshotBefore, stateKeyOf(type, stateKey)) ?? null;
  };

  const showProfile = (member: MemberProfile): void => {
    const before = statements.nameInRoom.get(member);
    statements.setProfile.run(member);
    statements.setLoggedProfile.run(member);
    if (before) names.changeInRoom(member.userId, { before, after: { name: member.displayname } });
  };

  /** What follows from events' places: the rooms' activity, the gaps, the word to others. */
  const settle = (settled: readonly { readonly event: Settled; readonly step: Step }[]): void => {
    graph.place(settled.flatMap(({ event }) => (event.position === null ? [] : event)));
    const awaited = deps.waiting.listAwaited(settled.map(({ event }) => event.eventId));
    const newest = new Map<number, Position>();
    for (const { event, step } of settled) {
      const { eventId, roomId, roomNo, position, type, stateKey, sender } = event;
      if (awaited.has(eventId)) step.change({ kind: 'event_awaited', roomId, eventId });
      if (position === null || position < 0 || event.verdict !== 'accepted') continue;
      newest.set(roomNo, Math.max(position, newest.get(roomNo) ?? 0) as Position);
      step.change({ kind: 'event', position, roomId, eventId, type, stateKey, sender });
    }
    for (const [roomNo, position] of newest) statements.setNewest.run(position, roomNo);
  };

  const place = (row: RowOf<'event_placed'>, step: Step): void => {
    const { eventId, verdict, snapshotBefore, snapshotAfter } = row;
    const eventNo = events.find(eventId);
    const known = eventNo === undefined ? undefined : statements.find.get(eventNo);
    if (eventNo === undefined || known === undefined) throw new Error(`event ${eventId} is not stored`);
    const replacesNo = findReplaced(snapshotBefore, known.type, known.stateKey);
    const placed = { eventNo, verdict, position: step.position ?? null, snapshotBefore, snapshotAfter, replacesNo };
    statements.place.run(placed);
    words.changed(eventNo, known.type);
    const event = { ...known, ...placed, eventId, roomId: rooms.text(known.roomNo), isNew: false };
    settle([{ event, step }]);
  };

  /** An event that is stored already: it may still get its place. */
  const writeAgain = ({ row, step }: Entry<'event'>): void => {
    const { eventId } = row.event;
    if (row.placement === 'outlier') return;
    const known = statements.find.get(events.put(eventId));
    if (known && known.position !== null) throw new Error(`event ${eventId} has its place already`);
    place({ ...row, kind: 'event_placed', eventId }, step);
  };

  /** Events that are not stored, each once. `known`: the numbers that were given before. */
  const writeNew = (entries: readonly Entry<'event'>[], known: ReadonlyMap<EventId, number>): void => {
    const named = entries.flatMap(({ row: { event } }) => [...prevEventIdsOf(event.pdu), ...authEventIdsOf(event.pdu)]);
    const numbers = events.putAll([...entries.map(({ row }) => row.event.eventId), ...named]);
    const numberOf = (eventId: EventId): number => numbers.get(eventId) ?? events.put(eventId);
    const inserted = entries.map(({ row, step }): Inserted & Settled => {
      const { eventId, roomId, roomVersion, pdu } = row.event;
      const stateKey = isStateEvent(row.event) ? row.event.pdu.state_key : null;
      return {
        eventNo: numberOf(eventId),
        eventId,
        isNew: !known.has(eventId),
        roomId,
        roomNo: rooms.put(roomId),
        roomVersion,
        verdict: row.verdict,
        position: step.position ?? null,
        snapshotBefore: row.snapshotBefore,
        snapshotAfter: row.snapshotAfter,
        type: pdu.type,
        stateKey,
        sender: pdu.sender,
        depth: depthOf(pdu),
        originServerTs: originServerTsOf(pdu),
        texts: textsOf(eventId, pdu),
        replacesNo: findReplaced(row.snapshotBefore, pdu.type, stateKey),
        transaction: row.transaction,
        receivedAtMs: row.receivedAtMs,
      };
    });
    statements.insert(inserted);
    const numbersOf = (eventIds: readonly EventId[]): number[] => [...new Set(eventIds)].map(numberOf);
    graph.link(
      entries.map(({ row: { event } }) => ({
        eventNo: numberOf(event.eventId),
        prevNos: numbersOf(prevEventIdsOf(event.pdu)),
        authNos: numbersOf(authEventIdsOf(event.pdu)),
      })),
    );
    for (const { eventNo, type } of inserted) words.added(eventNo, type);
    settle(
      entries.flatMap(({ step }, index) => {
        const event = inserted[index];
        return event ? { event, step } : [];
      }),
    );
  };

  const writeAll = (entries: readonly Entry<'event'>[]): void => {
    const numbers = events.findAll(entries.map(({ row }) => row.event.eventId));
    const stored = new Set(numbers.size === 0 ? [] : statements.stored.all(JSON.stringify([...numbers.values()])));
    const fresh = new Map<EventId, Entry<'event'>>();
    const again: Entry<'event'>[] = [];
    for (const entry of entries) {
      const { eventId } = entry.row.event;
      if (fresh.has(eventId) || stored.has(numbers.get(eventId) ?? 0)) again.push(entry);
      else fresh.set(eventId, entry);
    }
    if (fresh.size > 0) writeNew([...fresh.values()], numbers);
    for (const entry of again) writeAgain(entry);
  };

  const rows: EventWrites['rows'] = {
    event_placed: place,
    event_content({ event: { eventId, pdu }, profile }, step) {
      const eventNo = events.find(eventId);
      const known = eventNo === undefined ? undefined : statements.find.get(eventNo);
      if (eventNo === undefined || known === undefined) return;
      if (statements.restore.run({ ...textsOf(eventId, pdu), eventNo }).changes === 0) return;
      words.changed(eventNo, known.type);
      step.change({ kind: 'event_rewritten', roomId: rooms.text(known.roomNo), eventId });
      if (known.stateKey === null) return;
      if (profile !== null && isUserId(known.stateKey)) {
        showProfile({ roomNo: known.roomNo, userId: known.stateKey, eventId, ...profile });
      }
      if (isListingState(known.type, known.stateKey)) listings.refresh(known.roomNo);
      step.change({ kind: 'current_state', roomId: rooms.text(known.roomNo), types: [known.type] });
    },
    redaction({ eventId, redactedBy, redacted }, step) {
      const eventNo = events.find(eventId);
      const known = eventNo === undefined ? undefined : statements.find.get(eventNo);
      if (eventNo === undefined || known === undefined) return;
      statements.redact.run({ ...textsOf(eventId, redacted), eventNo, redactedByNo: events.put(redactedBy) });
      words.changed(eventNo, known.type);
      statements.removeWaiting.run(eventNo);
      if (known.position !== null && known.position > 0) deps.unread.redact(known.roomNo, known.position);
      if (known.type === 'm.room.member' && isUserId(known.stateKey)) {
        // What a redacted member event no longer says, the rows that were made of it must not say either.
        showProfile({ roomNo: known.roomNo, userId: known.stateKey, eventId, displayname: null, avatarUrl: null });
      }
      if (known.stateKey !== null && isListingState(known.type, known.stateKey)) listings.refresh(known.roomNo);
      step.change({ kind: 'redaction', roomId: rooms.text(known.roomNo), eventId, redactedBy });
    },
    redaction_waiting({ redaction, target }) {
      statements.addWaiting.run(events.put(target), events.put(redaction));
    },
    client_transaction(row, step) {
      const transaction = { ...row, eventId: row.eventId ?? '', writtenBehind: step.positionBefore };
      const { changes } = statements.insertTransaction.run(transaction);
      assert(changes === 1, 'the transaction was not used before');
      statements.pruneTransactions.run(step.nowMs - keepTransactionsMs, pruneMax);
    },
  };
  return { rows, many: { event: writeAll } };
}
