import type { RoomId } from '../../matrix/ids.ts';
import type { StateMap } from '../../matrix/pdu.ts';
import type { SnapshotId } from './numbers.ts';

/**
 * A large answer of another server on its way in. What is written under its number counts for nobody else: events wait as text until they
 * can be judged, and a room's state is put together beside the one that counts. The number comes from `newSnapshotId`.
 */
export type ImportTableRow =
  | { kind: 'import_started'; importId: SnapshotId }
  /** Texts that are numbered by their place: the first of the list is `first`. */
  | { kind: 'import_texts'; importId: SnapshotId; first: number; texts: readonly string[] }
  | { kind: 'import_texts_removed'; importId: SnapshotId; numbers: readonly number[] }
  /** A part of the state that the room will have. */
  | { kind: 'import_state'; importId: SnapshotId; set: StateMap }
  /** The state as it was put together becomes a snapshot, whole. */
  | { kind: 'import_snapshot'; importId: SnapshotId; roomId: RoomId; snapshotId: SnapshotId }
  /**
   * The current state of the room is from now on what `import_state` put together, with `set` over it, and stands in this snapshot. What it
   * was before becomes a left-over under a number of its own. No difference is logged: for whoever comes to the room it is new.
   */
  | { kind: 'import_state_adopted'; importId: SnapshotId; roomId: RoomId; snapshotId: SnapshotId; set: StateMap }
  /** Removes some of what is left of an import, and at last the import itself; nothing that a room has adopted. */
  | { kind: 'import_pruned'; importId: SnapshotId };

export interface ImportReads {
  /** Texts by their numbers, in no order. */
  listTexts(importId: SnapshotId, numbers: readonly number[]): Promise<{ number: number; text: string }[]>;
  /** Imports under way and what is left of others. */
  list(): Promise<SnapshotId[]>;
}
