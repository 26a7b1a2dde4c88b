import type { DeviceId, EventId, UserId } from '../../matrix/ids.ts';
import type { EventReads, StoredEvent, TimelineEvent } from '../contract/events.ts';
import {
  type EventDeps,
  type StoredEventRecord,
  storedEventColumns,
  type TimelineEventRecord,
  timelineEventColumns,
} from './core/event-records.ts';
import { transactionsBefore } from './device-leftovers.ts';
import { createTimelineReads } from './timelines.ts';

/**
 * Ids of one query, where it reads events and where only what refers to them; longer lists are read in several, with a chance for others
 * between them. An event is parsed, which takes as long as to read it.
 */
const eventsMax = 100;
const idsMax = 500;

function* chunksOf<T>(items: readonly T[], sizeMax: number): Generator<readonly T[]> {
  for (let start = 0; start < items.length; start += sizeMax) yield items.slice(start, start + sizeMax);
}

export function createEventReads(deps: EventDeps): EventReads {
  return {
    ...createLookups(deps),
    ...createTimelineReads(deps),
    ...createGraphReads(deps),
    ...createTransactionReads(deps),
  };
}

type Lookups = Pick<
  EventReads,
  | 'find'
  | 'listByIds'
  | 'listKnown'
  | 'listHeardOf'
  | 'listPduTexts'
  | 'listRelatedTo'
  | 'findTimelineEvent'
  | 'listTimelineEventsByIds'
>;

function createLookups({ connection, turn, records, events }: EventDeps): Lookups {
  const find = connection.prepare<[EventId], StoredEventRecord>(
    `SELECT ${storedEventColumns} FROM event_ids i JOIN events e ON e.event_no = i.event_no WHERE i.event_id = ?`,
  );
  const byIds = connection.prepare<[string], StoredEventRecord>(
    `SELECT ${storedEventColumns}
     FROM json_each(?) CROSS JOIN event_ids i ON i.event_id = value JOIN events e ON e.event_no = i.event_no`,
  );
  const known = connection
    .prepare<[string], EventId>(
      `SELECT i.event_id FROM json_each(?) CROSS JOIN event_ids i ON i.event_id = value JOIN events e ON e.event_no = i.event_no`,
    )
    .pluck();
  const pduTexts = connection
    .prepare<[string], string>(
      `SELECT e.pdu_text
       FROM json_each(?) j CROSS JOIN event_ids i ON i.event_id = j.value JOIN events e ON e.event_no = i.event_no
       ORDER BY j.key`,
    )
    .pluck();
  const related = connection
    .prepare<[{ ids: string; types: string | null; senders: string | null }], EventId>(
      `SELECT j.value FROM json_each(@ids) j
       WHERE EXISTS (
         SELECT 1 FROM events e
         WHERE e.relates_to = j.value AND e.verdict = 'accepted' AND e.position IS NOT NULL
           AND (@types IS NULL OR e.rel_type IN (SELECT value FROM json_each(@types)))
           AND (@senders IS NULL OR e.sender IN (SELECT value FROM json_each(@senders)))
       )`,
    )
    .pluck();
  const timelineEvent = connection.prepare<[EventId], TimelineEventRecord>(
    `SELECT ${timelineEventColumns} FROM event_ids i JOIN events e ON e.event_no = i.event_no
     WHERE i.event_id = ? AND e.verdict <> 'rejected'`,
  );
  const timelineEvents = connection.prepare<[string], TimelineEventRecord>(
    `SELECT ${timelineEventColumns}
     FROM json_each(?) CROSS JOIN event_ids i ON i.event_id = value JOIN events e ON e.event_no = i.event_no
     WHERE e.verdict <> 'rejected'`,
  );

  /** Reads a list of ids chunk by chunk. */
  const inChunks = async <T>(ids: readonly EventId[], read: (json: string) => T[]): Promise<T[]> => {
    const found: T[] = [];
    for (const chunk of chunksOf(ids, eventsMax)) found.push(...(await turn.read(() => read(JSON.stringify(chunk)))));
    return found;
  };

  return {
    find: (eventId) =>
      turn.read((): StoredEvent | undefined => {
        const record = find.get(eventId);
        return record && records.stored(record);
      }),
    listByIds: (eventIds) => inChunks([...new Set(eventIds)], (json) => records.allStored(byIds.all(json))),
    listKnown: async (eventIds) => new Set(await inChunks(eventIds, (json) => known.all(json))),
    listHeardOf: async (eventIds) => {
      const heardOf = new Set<EventId>();
      for (const chunk of chunksOf(eventIds, idsMax)) {
        for (const eventId of await turn.read(() => events.findAll(chunk).keys())) heardOf.add(eventId);
      }
      return heardOf;
    },
    listRelatedTo: async (eventIds, { types, senders }) => {
      const by = {
        types: types === undefined ? null : JSON.stringify(types),
        senders: senders === undefined ? null : JSON.stringify(senders),
      };
      return new Set(await inChunks(eventIds, (ids) => related.all({ ids, ...by })));
    },
    listPduTexts: (eventIds) => inChunks(eventIds, (json) => pduTexts.all(json)),
    findTimelineEvent: (eventId) =>
      turn.read((): TimelineEvent | undefined => {
        const record = timelineEvent.get(eventId);
        return record && records.timeline(record);
      }),
    listTimelineEventsByIds: (eventIds) =>
      inChunks([...new Set(eventIds)], (json) => records.allOfTimelines(timelineEvents.all(json))),
  };
}

type GraphReads = Pick<
  EventReads,
  'listBackwardExtremities' | 'listSuccessors' | 'listAuthEdges' | 'listWaitingRedactions'
>;

function createGraphReads({ connection, turn, rooms, events }: EventDeps): GraphReads {
  const backwardExtremities = connection.prepare<[number], { eventId: EventId; depth: number }>(
    `SELECT i.event_id AS eventId, max(m.depth) AS depth
     FROM missing_prevs m JOIN event_ids i ON i.event_no = m.prev_no
     WHERE m.room_no = ? GROUP BY m.prev_no ORDER BY depth DESC, eventId`,
  );
  const successors = connection
    .prepare<[number], EventId>(
      'SELECT i.event_id FROM event_prevs p JOIN event_ids i ON i.event_no = p.event_no WHERE p.prev_no = ?',
    )
    .pluck();
  const waiting = connection
    .prepare<[number], EventId>(
      `SELECT i.event_id FROM waiting_redactions w JOIN event_ids i ON i.event_no = w.redaction_no
       WHERE w.target_no = ? ORDER BY w.redaction_no LIMIT 100`,
    )
    .pluck();
  // Without a look at the events themselves, whose texts lie between: only where there are no edges it must be asked whether there is one.
  const authEdges = connection
    .prepare<[string], [number, string | null]>(
      'SELECT value, (SELECT group_concat(a.auth_no) FROM event_auths a WHERE a.event_no = value) FROM json_each(?)',
    )
    .raw();
  // Breadth first: the events asked for, then what they cite, and so on.
  const authEdgesAhead = connection
    .prepare<{ from: string; limit: number }, [number, string | null]>(
      `WITH RECURSIVE reached(event_no) AS (
         SELECT value FROM json_each(@from)
         UNION SELECT a.auth_no FROM reached r CROSS JOIN event_auths a ON a.event_no = r.event_no
         LIMIT @limit
       )
       SELECT r.event_no, (SELECT group_concat(a.auth_no) FROM event_auths a WHERE a.event_no = r.event_no) FROM reached r`,
    )
    .raw();
  const stored = connection
    .prepare<[string], number>('SELECT e.event_no FROM json_each(?) CROSS JOIN events e ON e.event_no = value')
    .pluck();

  const addAuthEdges = (edges: Map<EventId, EventId[]>, eventIds: readonly EventId[], ahead: number): void => {
    const numbers = [...events.findAll(eventIds).values()];
    const from = JSON.stringify(numbers);
    const found = ahead === 0 ? authEdges.all(from) : authEdgesAhead.all({ from, limit: numbers.length + ahead });
    const cited = new Map<number, number[]>();
    const bare: number[] = [];
    for (const [eventNo, authNos] of found) {
      if (authNos === null) bare.push(eventNo);
      else cited.set(eventNo, authNos.split(',').map(Number));
    }
    if (bare.length > 0) for (const eventNo of stored.all(JSON.stringify(bare))) cited.set(eventNo, []);
    const texts = events.texts(new Set([...cited].flatMap(([eventNo, authNos]) => [eventNo, ...authNos])));
    const textOf = (eventNo: number): EventId => texts.get(eventNo) ?? events.text(eventNo);
    for (const [eventNo, authNos] of cited) edges.set(textOf(eventNo), authNos.map(textOf));
  };

  return {
    listBackwardExtremities: (roomId) => turn.read(() => backwardExtremities.all(rooms.find(roomId) ?? 0)),
    listWaitingRedactions: (target) => turn.read(() => waiting.all(events.find(target) ?? 0)),
    listSuccessors: (eventId) => turn.read(() => successors.all(events.find(eventId) ?? 0)),
    listAuthEdges: async (eventIds, ahead = 0) => {
      const edges = new Map<EventId, EventId[]>();
      for (const chunk of chunksOf([...new Set(eventIds)], idsMax))
        await turn.read(() => addAuthEdges(edges, chunk, ahead));
      return edges;
    },
  };
}

function createTransactionReads({ connection, turn }: EventDeps): Pick<EventReads, 'findClientTransaction'> {
  const find = connection
    .prepare<[UserId, DeviceId, string, string], EventId>(
      `SELECT event_id FROM client_transactions t
       WHERE user_id = ? AND device_id = ? AND scope = ? AND transaction_id = ?
         AND written_behind >= ${transactionsBefore('t.user_id', 't.device_id')}`,
    )
    .pluck();
  return {
    findClientTransaction: (userId, deviceId, scope, transactionId) =>
      turn.read(() => find.get(userId, deviceId, scope, transactionId)),
  };
}
