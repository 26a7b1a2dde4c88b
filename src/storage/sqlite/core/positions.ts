import { assert } from '../../../base/assert.ts';
import type { EventId } from '../../../matrix/ids.ts';
import type { Row } from '../../contract/commit.ts';
import type { EventPlacement } from '../../contract/events.ts';
import type { Position } from '../../contract/numbers.ts';
import type { Connection } from './database.ts';
import { listTimelineEventIds } from './writes.ts';

/**
 * How far each start jumps. More than can be given out between two syncs of the disk, so that a position that was
 * told and then lost in a power cut is never given again.
 */
const startGap = 1_000_000;

/** Gives out positions: upwards for what happens, downwards for history. */
export class Positions {
  #last: Position;
  #lowest: Position;
  #stored: { last: Position; lowest: Position };
  readonly #store;

  constructor(connection: Connection) {
    const read = connection.prepare<[string], number>('SELECT value FROM counters WHERE name = ?').pluck();
    this.#store = connection.prepare<[number, string]>('UPDATE counters SET value = ? WHERE name = ?');
    const last = read.get('position');
    const lowest = read.get('historical');
    assert(last !== undefined && lowest !== undefined, 'the counters have their rows');
    this.#last = last + startGap;
    this.#lowest = lowest;
    this.#stored = { last: this.#last, lowest };
  }

  get last(): Position {
    return this.#last;
  }

  /** To come back to when a batch is undone. */
  mark(): () => void {
    const [last, lowest, stored] = [this.#last, this.#lowest, this.#stored];
    return () => {
      this.#stored = stored;
      this.#last = last;
      this.#lowest = lowest;
    };
  }

  /** Inside the transaction, at its end. */
  save(): void {
    if (this.#last !== this.#stored.last) this.#store.run(this.#last, 'position');
    if (this.#lowest !== this.#stored.lowest) this.#store.run(this.#lowest, 'historical');
    this.#stored = { last: this.#last, lowest: this.#lowest };
  }

  /** The position of each row that takes one, in the order of the rows. */
  assign(rows: readonly Row[]): (Position | null)[] {
    const timeline = listTimelineEventIds(rows);
    const given = new Map<EventId, Position>();
    const ofEvent = (eventId: EventId): Position => {
      const position = given.get(eventId) ?? this.#next();
      given.set(eventId, position);
      return position;
    };
    const ofPlacement = (eventId: EventId, placement: EventPlacement): Position | null => {
      if (placement === 'timeline') return ofEvent(eventId);
      return placement === 'historical' ? this.#nextHistorical() : null;
    };
    return rows.map((row) => {
      switch (row.kind) {
        case 'event':
          return ofPlacement(row.event.eventId, row.placement);
        case 'event_placed':
          return ofPlacement(row.eventId, row.placement);
        case 'membership':
        case 'notification':
        case 'outgoing_pdu':
          return timeline.has(row.eventId) ? ofEvent(row.eventId) : this.#next();
        case 'current_state':
          return row.set.size > 0 || row.removed.length > 0 ? this.#next() : null;
        case 'account_data':
        case 'account_erased':
        case 'device_list_change':
        case 'device_removed':
        case 'fallback_key_used':
        case 'fallback_keys':
        case 'one_time_keys':
        case 'one_time_keys_claimed':
        case 'one_time_keys_removed':
        case 'receipt':
        case 'profile':
        case 'to_device':
          return this.#next();
        default:
          return null;
      }
    });
  }

  #next(): Position {
    this.#last += 1;
    return this.#last;
  }

  #nextHistorical(): Position {
    this.#lowest -= 1;
    return this.#lowest;
  }
}
