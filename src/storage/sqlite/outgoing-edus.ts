import { edusKeptMax } from '../contract/outgoing.ts';
import type { Connection } from './core/database.ts';

export interface OutgoingEduQueue {
  add(edu: { destinationNo: number; key: string | null; series: string | null; text: string }): void;
}

/** How often the queue of a destination is looked at, in EDUs, and how many one look lets go of at most: more than came since. */
const lookEvery = 64;
const trimMax = 256;
/** Destinations whose queues are known. Of one that is forgotten the queue grows by so many more until the next look. */
const queuesMax = 20_000;

interface Queue {
  addedSince: number;
  /** So much of series waits that of each the newest has to do. */
  isCrowded: boolean;
}

/** EDUs that wait for destinations, each queue with a bound. */
export function createOutgoingEduQueue(connection: Connection): OutgoingEduQueue {
  const statements = prepare(connection);
  const queues = new Map<number, Queue>();

  const queueOf = (destinationNo: number): Queue => {
    const known = queues.get(destinationNo);
    if (known) return known;
    if (queues.size >= queuesMax) queues.clear();
    const queue = { addedSince: 0, isCrowded: false };
    queues.set(destinationNo, queue);
    return queue;
  };

  return {
    add({ destinationNo, key, series, text }) {
      const queue = queueOf(destinationNo);
      if (key !== null) statements.removeByKey.run(destinationNo, key);
      if (series !== null && queue.isCrowded) statements.removeSeries.run(destinationNo, series);
      statements.insert.run(destinationNo, key, series, text);
      queue.addedSince += 1;
      if (queue.addedSince < lookEvery) return;
      queue.addedSince = 0;
      queue.isCrowded = statements.isCrowded.get(destinationNo, edusKeptMax) !== undefined;
      const bound = statements.boundOfSingle.get(destinationNo, edusKeptMax);
      if (bound !== undefined) statements.removeSingle.run(destinationNo, bound, trimMax);
    },
  };
}

function prepare(connection: Connection) {
  return {
    removeByKey: connection.prepare<[number, string]>('DELETE FROM outgoing_edus WHERE destination_no = ? AND key = ?'),
    removeSeries: connection.prepare<[number, string]>(
      'DELETE FROM outgoing_edus WHERE destination_no = ? AND series = ?',
    ),
    insert: connection.prepare<[number, string | null, string | null, string]>(
      'INSERT INTO outgoing_edus (destination_no, key, series, edu) VALUES (?, ?, ?, ?)',
    ),
    isCrowded: connection
      .prepare<[number, number], number>(
        'SELECT 1 FROM outgoing_edus WHERE destination_no = ? AND series IS NOT NULL LIMIT 1 OFFSET ?',
      )
      .pluck(),
    boundOfSingle: connection
      .prepare<[number, number], number>(
        `SELECT edu_id FROM outgoing_edus WHERE destination_no = ? AND series IS NULL
         ORDER BY edu_id DESC LIMIT 1 OFFSET ?`,
      )
      .pluck(),
    removeSingle: connection.prepare<[number, number, number]>(
      `DELETE FROM outgoing_edus WHERE edu_id IN (
         SELECT edu_id FROM outgoing_edus WHERE destination_no = ? AND series IS NULL AND edu_id <= ?
         ORDER BY edu_id LIMIT ?
       )`,
    ),
  };
}
