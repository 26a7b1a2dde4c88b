/**
 * One durable number orders everything that is stored and that `/sync` reports. A commit takes one position for each
 * of its rows that asks for one, in the order of the rows. A position becomes visible only when all below it are.
 */
export type Position = number;

/** The state of a room at one place. Immutable once written. */
export type SnapshotId = number & { readonly __brand: 'SnapshotId' };
