import type { EventId, UserId } from '../../matrix/ids.ts';
import type { HistoryPlace } from '../contract/events.ts';
import { type RelationReads, referencesMax, type StoredAggregation } from '../contract/relations.ts';
import { type EventDeps, type TimelineEventRecord, timelineEventColumns } from './core/event-records.ts';

/** Events whose aggregations are read together; others get their turn between. */
const eventsMax = 100;

type Related = TimelineEventRecord & { parent: EventId };

export function createRelationReads(deps: EventDeps): RelationReads {
  return { ...createPages(deps), ...createAggregations(deps), ...createLookups(deps) };
}

function createPages({
  connection,
  turn,
  rooms,
  records,
}: EventDeps): Pick<RelationReads, 'listRelated' | 'listThreads'> {
  interface Page {
    roomNo: number;
    eventId: EventId;
    relType: string | null;
    eventType: string | null;
    levels: number;
    depth: number;
    position: number;
    limit: number;
  }
  const asked = `e.room_no = @roomNo AND e.verdict = 'accepted' AND e.position IS NOT NULL
    AND (@relType IS NULL OR e.rel_type = @relType) AND (@eventType IS NULL OR e.type = @eventType)`;
  const inOrder = (comparison: '<' | '>', order: 'ASC' | 'DESC') =>
    `(e.depth, e.position) ${comparison} (@depth, @position) ORDER BY e.depth ${order}, e.position ${order} LIMIT @limit`;
  const direct = (comparison: '<' | '>', order: 'ASC' | 'DESC') =>
    connection.prepare<[Page], TimelineEventRecord>(
      `SELECT ${timelineEventColumns} FROM events e JOIN event_ids i ON i.event_no = e.event_no
       WHERE e.relates_to = @eventId AND ${asked} AND ${inOrder(comparison, order)}`,
    );
  const deep = (comparison: '<' | '>', order: 'ASC' | 'DESC') =>
    connection.prepare<[Page], TimelineEventRecord>(
      `WITH RECURSIVE related (event_no, event_id, level) AS (
         SELECT NULL, @eventId, 0
         UNION
         SELECT e.event_no, n.event_id, r.level + 1
         FROM related r CROSS JOIN events e ON e.relates_to = r.event_id CROSS JOIN event_ids n ON n.event_no = e.event_no
         WHERE r.level < @levels AND ${asked}
       )
       SELECT ${timelineEventColumns} FROM events e JOIN event_ids i ON i.event_no = e.event_no
       WHERE e.event_no IN (SELECT event_no FROM related) AND ${inOrder(comparison, order)}`,
    );
  const statements = {
    backward: { direct: direct('<', 'DESC'), deep: deep('<', 'DESC') },
    forward: { direct: direct('>', 'ASC'), deep: deep('>', 'ASC') },
  };
  type ThreadRecord = TimelineEventRecord & { newestDepth: number; newestPosition: number };
  const threads = connection.prepare<
    [{ roomNo: number; depth: number; position: number; participant: UserId | null; limit: number }],
    ThreadRecord
  >(
    `SELECT ${timelineEventColumns}, t.depth AS newestDepth, t.position AS newestPosition
     FROM threads t CROSS JOIN event_ids i ON i.event_id = t.root_id CROSS JOIN events e ON e.event_no = i.event_no
     WHERE t.room_no = @roomNo AND (t.depth, t.position) < (@depth, @position)
       AND e.room_no = t.room_no AND e.verdict = 'accepted' AND e.position IS NOT NULL AND e.rel_type IS NULL
       AND (@participant IS NULL OR e.sender = @participant OR EXISTS (
         SELECT 1 FROM thread_senders s
         WHERE s.room_no = t.room_no AND s.root_id = t.root_id AND s.sender = @participant
       ))
     ORDER BY t.depth DESC, t.position DESC LIMIT @limit`,
  );

  return {
    listRelated: ({ roomId, eventId, relType, eventType, levels, from, direction, limit }) =>
      turn.read(() => {
        const page: Page = {
          roomNo: rooms.find(roomId) ?? 0,
          eventId,
          relType: relType ?? null,
          eventType: eventType ?? null,
          levels,
          depth: from.depth,
          position: from.position,
          limit,
        };
        const statement = statements[direction][levels === 1 ? 'direct' : 'deep'];
        return records.allOfTimelines(statement.all(page));
      }),
    listThreads: (roomId, { before, participant, limit }) =>
      turn.read(() => {
        const page = { roomNo: rooms.find(roomId) ?? 0, ...placeOf(before), participant: participant ?? null, limit };
        return threads.all(page).map(({ newestDepth, newestPosition, ...record }) => ({
          root: records.timeline(record),
          place: { depth: newestDepth, position: newestPosition },
        }));
      }),
  };
}

function placeOf({ depth, position }: HistoryPlace): HistoryPlace {
  return { depth, position };
}

function createAggregations({ connection, turn, records }: EventDeps): Pick<RelationReads, 'listAggregations'> {
  interface Asked {
    ids: string;
    ignored: string;
    viewer: UserId;
  }
  // p: the event asked about. i and e: the one that is told of it, as the columns name them.
  const parents = `json_each(@ids) j CROSS JOIN event_ids pi ON pi.event_id = j.value CROSS JOIN events p ON p.event_no = pi.event_no`;
  const child = (condition: string) =>
    `x.relates_to = j.value AND x.room_no = p.room_no AND x.verdict = 'accepted' AND x.position IS NOT NULL
     AND x.sender NOT IN (SELECT value FROM json_each(@ignored)) AND ${condition}`;
  const replacements = connection.prepare<[Asked], Related>(
    `SELECT j.value AS parent, ${timelineEventColumns}
     FROM ${parents} CROSS JOIN events e ON e.event_no = (
       SELECT x.event_no FROM events x JOIN event_ids xi ON xi.event_no = x.event_no
       WHERE ${child(`x.rel_type = 'm.replace' AND x.sender = p.sender AND x.type = p.type AND x.state_key IS NULL
         AND (x.type = 'm.room.encrypted' OR json_type(x.client_text, '$.content."m.new_content"') = 'object')`)}
       ORDER BY x.origin_server_ts DESC, xi.event_id DESC LIMIT 1
     ) CROSS JOIN event_ids i ON i.event_no = e.event_no
     WHERE p.state_key IS NULL AND p.redacted_by_no IS NULL AND p.rel_type IS NOT 'm.replace'`,
  );
  const references = connection.prepare<[Asked & { limit: number }], Related>(
    `SELECT j.value AS parent, ${timelineEventColumns}
     FROM ${parents} CROSS JOIN events e ON e.event_no IN (
       SELECT x.event_no FROM events x WHERE ${child("x.rel_type = 'm.reference'")}
       ORDER BY x.depth DESC, x.position DESC LIMIT @limit
     ) CROSS JOIN event_ids i ON i.event_no = e.event_no
     ORDER BY e.depth, e.position`,
  );
  const threads = connection.prepare<[Asked], Related & { count: number; participated: number }>(
    `SELECT j.value AS parent, ${timelineEventColumns},
       (SELECT sum(s.events) FROM thread_senders s WHERE s.room_no = p.room_no AND s.root_id = j.value
         AND s.sender NOT IN (SELECT value FROM json_each(@ignored))) AS count,
       (p.sender = @viewer OR EXISTS (SELECT 1 FROM thread_senders s
         WHERE s.room_no = p.room_no AND s.root_id = j.value AND s.sender = @viewer)) AS participated
     FROM ${parents} CROSS JOIN events e ON e.event_no = (
       SELECT x.event_no FROM events x WHERE ${child("x.rel_type = 'm.thread'")}
       ORDER BY x.depth DESC, x.position DESC LIMIT 1
     ) CROSS JOIN event_ids i ON i.event_no = e.event_no
     WHERE p.rel_type IS NULL`,
  );

  const readChunk = (asked: Asked): Map<EventId, StoredAggregation> => {
    const found = new Map<EventId, { -readonly [field in keyof StoredAggregation]: StoredAggregation[field] }>();
    const of = (parent: EventId) => {
      const known = found.get(parent) ?? { replacement: undefined, references: [], thread: undefined };
      found.set(parent, known);
      return known;
    };
    for (const { parent, ...record } of replacements.all(asked)) of(parent).replacement = records.timeline(record);
    for (const { parent, ...record } of references.all({ ...asked, limit: referencesMax })) {
      const known = of(parent);
      known.references = [...known.references, records.timeline(record)];
    }
    for (const { parent, count, participated, ...record } of threads.all(asked)) {
      of(parent).thread = { newest: records.timeline(record), count, participated: participated === 1 };
    }
    return found;
  };

  return {
    async listAggregations(eventIds, viewer) {
      const found = new Map<EventId, StoredAggregation>();
      const ignored = JSON.stringify([...viewer.ignored]);
      for (let start = 0; start < eventIds.length; start += eventsMax) {
        const ids = JSON.stringify(eventIds.slice(start, start + eventsMax));
        const asked = { ids, ignored, viewer: viewer.userId };
        for (const [eventId, aggregation] of await turn.read(() => readChunk(asked))) found.set(eventId, aggregation);
      }
      return found;
    },
  };
}

function createLookups({ connection, turn }: EventDeps): Pick<RelationReads, 'hasAnnotation' | 'findRelationType'> {
  const annotation = connection.prepare<[{ eventId: EventId; sender: UserId; type: string; key: string }], unknown>(
    `SELECT 1 FROM events e
     WHERE e.relates_to = @eventId AND e.verdict = 'accepted' AND e.position IS NOT NULL AND e.rel_type = 'm.annotation'
       AND e.sender = @sender AND e.type = @type
       AND json_extract(e.client_text, '$.content."m.relates_to".key') = @key
     LIMIT 1`,
  );
  const relationType = connection
    .prepare<[EventId], string | null>(
      'SELECT e.rel_type FROM event_ids i JOIN events e ON e.event_no = i.event_no WHERE i.event_id = ?',
    )
    .pluck();
  return {
    hasAnnotation: (eventId, asked) => turn.read(() => annotation.get({ eventId, ...asked }) !== undefined),
    findRelationType: (eventId) => turn.read(() => relationType.get(eventId) ?? null),
  };
}
