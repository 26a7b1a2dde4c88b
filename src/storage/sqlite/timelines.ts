import type { RoomId } from '../../matrix/ids.ts';
import type { EventReads, HistoryPlace, TimelineEvent } from '../contract/events.ts';
import type { Position } from '../contract/numbers.ts';
import { type EventDeps, type TimelineEventRecord, timelineEventColumns } from './core/event-records.ts';

type PageReads = Pick<EventReads, 'listTimeline' | 'listHistory' | 'listNearMoment' | 'listTimelines' | 'listEndings'>;
type NewsReads = Pick<
  EventReads,
  'listRoomsChanged' | 'listGaps' | 'listGapPlaces' | 'findNewestPlace' | 'listNewestPlaces'
>;

/** Events in the order in which they arrived, and in the order of the history. */
export function createTimelineReads(deps: EventDeps): PageReads & NewsReads {
  return { ...createPageReads(deps), ...createNewsReads(deps) };
}

/** Rows of one query, about, where there are many pages. */
const rowsMax = 500;

type PagedRecord = TimelineEventRecord & { page: number };

function createPageReads({ connection, turn, rooms, records }: EventDeps): PageReads {
  const timeline = connection.prepare<[number, Position, Position, number], TimelineEventRecord>(
    `SELECT ${timelineEventColumns} FROM events e JOIN event_ids i ON i.event_no = e.event_no
     WHERE e.room_no = ? AND e.verdict = 'accepted' AND e.position > 0 AND e.position > ? AND e.position <= ?
     ORDER BY e.position DESC LIMIT ?`,
  );
  const history = (comparison: '<' | '>', order: 'ASC' | 'DESC') =>
    connection.prepare<[number, number, Position, Position, number], TimelineEventRecord>(
      `SELECT ${timelineEventColumns} FROM events e JOIN event_ids i ON i.event_no = e.event_no
       WHERE e.room_no = ? AND e.verdict = 'accepted' AND e.position IS NOT NULL
         AND (e.depth, e.position) ${comparison} (?, ?) AND e.position <= ?
       ORDER BY e.depth ${order}, e.position ${order} LIMIT ?`,
    );
  const backward = history('<', 'DESC');
  const forward = history('>', 'ASC');
  const near = (comparison: '<=' | '>=', order: 'ASC' | 'DESC') =>
    connection.prepare<[number, number, number], TimelineEventRecord>(
      `SELECT ${timelineEventColumns} FROM events e JOIN event_ids i ON i.event_no = e.event_no
       WHERE e.room_no = ? AND e.verdict = 'accepted' AND e.position IS NOT NULL AND e.origin_server_ts ${comparison} ?
       ORDER BY e.origin_server_ts ${order}, e.depth ${order}, e.position ${order} LIMIT ?`,
    );
  const nearBackward = near('<=', 'DESC');
  const nearForward = near('>=', 'ASC');
  // The numbers of the events first, by an index alone, and then their rows.
  const pages = (subquery: string) =>
    connection.prepare<[{ pages: string; limit: number }], PagedRecord>(
      `SELECT j.key AS page, ${timelineEventColumns}
       FROM json_each(@pages) j CROSS JOIN events e ON e.event_no IN (${subquery} LIMIT @limit)
         CROSS JOIN event_ids i ON i.event_no = e.event_no`,
    );
  const timelines = pages(
    `SELECT x.event_no FROM events x
     WHERE x.room_no = j.value ->> 0 AND x.verdict = 'accepted' AND x.position > 0
       AND x.position > j.value ->> 1 AND x.position <= j.value ->> 2
     ORDER BY x.position DESC`,
  );
  const endings = pages(
    `SELECT x.event_no FROM events x
     WHERE x.room_no = j.value ->> 0 AND x.verdict = 'accepted' AND x.position IS NOT NULL
       AND (x.depth, x.position) < (j.value ->> 1, j.value ->> 2) AND x.position <= j.value ->> 3
     ORDER BY x.depth DESC, x.position DESC`,
  );

  /** A few pages at a time, with a chance for others between: each of them has an end that does not move. */
  const readPages = async (
    statement: typeof timelines,
    list: readonly unknown[],
    limit: number,
  ): Promise<TimelineEvent[][]> => {
    const lists = list.map((): TimelineEvent[] => []);
    const pagesMax = Math.max(1, Math.floor(rowsMax / limit));
    for (let start = 0; start < list.length; start += pagesMax) {
      const asked = { pages: JSON.stringify(list.slice(start, start + pagesMax)), limit };
      await turn.read(() => {
        for (const { page, ...record } of statement.all(asked)) lists[start + page]?.push(records.timeline(record));
      });
    }
    return lists;
  };

  return {
    listTimeline: (roomId, after, upTo, limit) =>
      turn.read(() =>
        timeline
          .all(rooms.find(roomId) ?? 0, after, upTo, limit)
          .reverse()
          .map((record) => records.timeline(record)),
      ),
    listHistory: (roomId, from, direction, limit) =>
      turn.read(() =>
        (direction === 'backward' ? backward : forward)
          .all(rooms.find(roomId) ?? 0, from.depth, from.position, from.upTo ?? Number.MAX_SAFE_INTEGER, limit)
          .map((record) => records.timeline(record)),
      ),
    listNearMoment: (roomId, ts, direction, limit) =>
      turn.read(() =>
        records.allOfTimelines(
          (direction === 'backward' ? nearBackward : nearForward).all(rooms.find(roomId) ?? 0, ts, limit),
        ),
      ),
    listTimelines: async (asked, limit) => {
      const roomNos = await turn.read(() => rooms.findAll(asked.map(({ roomId }) => roomId)));
      const list = asked.map(({ roomId, after, upTo }) => [roomNos.get(roomId) ?? 0, after, upTo]);
      const found = await readPages(timelines, list, limit);
      return found.map((events) => events.sort((a, b) => a.position - b.position));
    },
    listEndings: async (asked, limit) => {
      const roomNos = await turn.read(() => rooms.findAll(asked.map(({ roomId }) => roomId)));
      const list = asked.map(({ roomId, before: { depth, position }, upTo }) => [
        roomNos.get(roomId) ?? 0,
        depth,
        position,
        upTo,
      ]);
      const found = await readPages(endings, list, limit);
      return found.map((events) => events.sort((a, b) => a.depth - b.depth || a.position - b.position));
    },
  };
}

function createNewsReads({ connection, turn, rooms }: EventDeps): NewsReads {
  // A room whose newest event is behind `upTo` may have an earlier one too.
  const roomsChanged = connection
    .prepare<{ after: Position; upTo: Position }, number>(
      `SELECT r.room_no FROM rooms r
       WHERE r.newest_position > @after AND (r.newest_position <= @upTo OR EXISTS (
         SELECT 1 FROM events e
         WHERE e.room_no = r.room_no AND e.verdict = 'accepted' AND e.position > 0
           AND e.position > @after AND e.position <= @upTo
       ))`,
    )
    .pluck();
  const gaps = connection.prepare<[Position, Position], { roomNo: number; position: Position }>(
    `SELECT room_no AS roomNo, max(position) AS position FROM missing_prevs
     WHERE position > ? AND position <= ? GROUP BY room_no`,
  );
  const gapPlaces = connection.prepare<[string], HistoryPlace & { roomNo: number }>(
    `SELECT m.room_no AS roomNo, m.depth, m.position
     FROM json_each(?) j CROSS JOIN missing_prevs m ON m.room_no = j.value ->> 0
     WHERE m.position IS NOT NULL AND m.position <= j.value ->> 1`,
  );
  const newestPlaces = connection.prepare<[string], HistoryPlace & { roomNo: number }>(
    `SELECT e.room_no AS roomNo, e.depth, e.position
     FROM json_each(?) j CROSS JOIN events e ON e.event_no = (
       SELECT x.event_no FROM events x
       WHERE x.room_no = j.value ->> 0 AND x.verdict = 'accepted' AND x.position > 0 AND x.position <= j.value ->> 1
       ORDER BY x.position DESC LIMIT 1
     )`,
  );
  const jsonOf = (upTo: ReadonlyMap<RoomId, Position>): string =>
    JSON.stringify([...rooms.findAll(upTo.keys())].map(([roomId, roomNo]) => [roomNo, upTo.get(roomId)]));
  const newestPlace = connection.prepare<[number, Position], HistoryPlace>(
    `SELECT depth, position FROM events
     WHERE room_no = ? AND verdict = 'accepted' AND position > 0 AND position <= ?
     ORDER BY position DESC LIMIT 1`,
  );

  return {
    listRoomsChanged: (roomIds, after, upTo) =>
      turn.read(() =>
        roomsChanged
          .all({ after, upTo })
          .map((roomNo) => rooms.text(roomNo))
          .filter((roomId) => roomIds.has(roomId)),
      ),
    listGaps: (roomIds, after, upTo) =>
      turn.read(() => {
        const found = new Map<RoomId, Position>();
        for (const { roomNo, position } of gaps.all(after, upTo)) {
          const roomId = rooms.text(roomNo);
          if (roomIds.has(roomId)) found.set(roomId, position);
        }
        return found;
      }),
    listGapPlaces: (upTo) =>
      turn.read(() => {
        const found = new Map<RoomId, HistoryPlace>();
        for (const { roomNo, depth, position } of gapPlaces.all(jsonOf(upTo))) {
          const roomId = rooms.text(roomNo);
          const known = found.get(roomId);
          if (!known || depth > known.depth || (depth === known.depth && position > known.position)) {
            found.set(roomId, { depth, position });
          }
        }
        return found;
      }),
    findNewestPlace: (roomId, upTo) => turn.read(() => newestPlace.get(rooms.find(roomId) ?? 0, upTo)),
    listNewestPlaces: (upTo) =>
      turn.read(() => {
        const found = newestPlaces.all(jsonOf(upTo));
        return new Map(found.map(({ roomNo, ...place }) => [rooms.text(roomNo), place]));
      }),
  };
}
