import type { EventId } from '../../../matrix/ids.ts';
import type { Change } from '../../contract/changes.ts';
import type { Row } from '../../contract/commit.ts';
import type { Position } from '../../contract/numbers.ts';

export type RowKind = Row['kind'];
export type RowOf<Kind extends RowKind> = Extract<Row, { kind: Kind }>;

/** What a row is written with. */
export interface Step {
  /** The position the row takes; undefined if its kind takes none. */
  position: Position | undefined;
  nowMs: number;
  /** The last position given before this batch. */
  positionBefore: Position;
  /** Told after the transaction, in the order of the rows. */
  change(change: Change): void;
}

/** How the rows of some kinds are written. Runs inside the transaction; what it throws undoes the batch. */
export type Writes<Kind extends RowKind> = { readonly [K in Kind]: (row: RowOf<K>, step: Step) => void };

/** A row with what it is written with. */
export interface Entry<Kind extends RowKind = RowKind> {
  readonly row: RowOf<Kind>;
  readonly step: Step;
}

/** How the rows of some kinds are written that come by the many: those of one batch together, in their order. */
export type ManyWrites<Kind extends RowKind> = { readonly [K in Kind]: (entries: readonly Entry<K>[]) => void };

/** The position of a row whose kind always takes one. */
export function positionOf(step: Step): Position {
  if (step.position === undefined) throw new Error('the row was given no position');
  return step.position;
}

/** The events whose place in the timeline other rows of the batch share. */
export function listTimelineEventIds(rows: readonly Row[]): Set<EventId> {
  const ids = new Set<EventId>();
  for (const row of rows) {
    if (row.kind === 'event' && row.placement === 'timeline') ids.add(row.event.eventId);
    if (row.kind === 'event_placed' && row.placement === 'timeline') ids.add(row.eventId);
  }
  return ids;
}
