import type { TimelineEvent } from '../../contract/events.ts';
import type { Connection } from './database.ts';
import { type EventRecords, type TimelineEventRecord, timelineEventColumns } from './event-records.ts';
import type { Turn } from './turn.ts';

/** Rows of one query: some milliseconds, also where each lies on a page of its own. */
const rowsMax = 500;

/**
 * Events by their numbers, for lists that may be long: which events belong to a list is read in one step and is true of one moment, and as no
 * event goes away, their rows can follow with a chance for others between them.
 */
export class TimelineRows {
  readonly #turn: Turn;
  readonly #records: EventRecords;
  readonly #byNumber;

  constructor(connection: Connection, { turn, records }: { readonly turn: Turn; readonly records: EventRecords }) {
    this.#turn = turn;
    this.#records = records;
    this.#byNumber = connection.prepare<[string], TimelineEventRecord>(
      `SELECT ${timelineEventColumns}
       FROM json_each(?) j CROSS JOIN events e ON e.event_no = j.value
         CROSS JOIN event_ids i ON i.event_no = e.event_no
       ORDER BY j.key`,
    );
  }

  /** In the order of the numbers. */
  async list(eventNos: readonly number[]): Promise<TimelineEvent[]> {
    const found: TimelineEvent[] = [];
    for (let start = 0; start < eventNos.length; start += rowsMax) {
      const numbers = JSON.stringify(eventNos.slice(start, start + rowsMax));
      found.push(...(await this.#turn.read(() => this.#records.allOfTimelines(this.#byNumber.all(numbers)))));
    }
    return found;
  }
}
