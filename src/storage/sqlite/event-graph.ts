import type { Connection } from './core/database.ts';

/** What an event stands behind and is allowed by. */
export interface EventEdges {
  readonly eventNo: number;
  readonly prevNos: readonly number[];
  readonly authNos: readonly number[];
}

export interface EventGraph {
  /** Of events that are stored for the first time. */
  link(edges: readonly EventEdges[]): void;
  /** These events got a place: nothing misses them any more, and they may miss others. isNew: nothing ever named it. */
  place(events: readonly { readonly eventNo: number; readonly isNew: boolean }[]): void;
}

export function createEventGraph(connection: Connection): EventGraph {
  const linkTo = (table: string) =>
    connection.prepare<[string]>(
      `INSERT INTO ${table} SELECT e.value ->> 0, n.value FROM json_each(?) e CROSS JOIN json_each(e.value, '$[1]') n`,
    );
  const addPrevs = linkTo('event_prevs (event_no, prev_no)');
  const addAuths = linkTo('event_auths (event_no, auth_no)');
  const found = connection.prepare<[string]>(
    'DELETE FROM missing_prevs WHERE prev_no IN (SELECT value FROM json_each(?))',
  );
  const unmiss = connection.prepare<[string]>(
    'DELETE FROM missing_prevs WHERE event_no IN (SELECT value FROM json_each(?))',
  );
  const miss = connection.prepare<[string]>(
    `INSERT INTO missing_prevs (prev_no, event_no, room_no, depth, position)
     SELECT p.prev_no, n.event_no, n.room_no, n.depth, iif(n.verdict = 'accepted' AND n.position > 0, n.position, NULL)
     FROM json_each(?) j CROSS JOIN events n ON n.event_no = j.value
       CROSS JOIN event_prevs p ON p.event_no = n.event_no LEFT JOIN events e ON e.event_no = p.prev_no
     WHERE e.position IS NULL`,
  );

  return {
    link(edges) {
      addPrevs.run(JSON.stringify(edges.map(({ eventNo, prevNos }) => [eventNo, prevNos])));
      addAuths.run(JSON.stringify(edges.map(({ eventNo, authNos }) => [eventNo, authNos])));
    },
    place(events) {
      const named = JSON.stringify(events.filter(({ isNew }) => !isNew).map(({ eventNo }) => eventNo));
      if (named !== '[]') {
        found.run(named);
        unmiss.run(named);
      }
      if (events.length > 0) miss.run(JSON.stringify(events.map(({ eventNo }) => eventNo)));
    },
  };
}
