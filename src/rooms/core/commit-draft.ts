import type { CommitResult, Expectation, Row } from '../../storage/contract/commit.ts';
import type { RoomsCore } from './deps.ts';
import { outgoingRows } from './outgoing.ts';
import type { RoomDraft } from './room-draft.ts';

/**
 * Writes a draft whole: its events, snapshots and memberships, what goes to other servers, what follows for audiences, and the rows
 * of the caller. A conflict means that somebody else wrote to the room; decide again.
 */
export async function commitDraft(
  deps: Pick<RoomsCore, 'storage' | 'roster' | 'serverName' | 'ports'>,
  draft: RoomDraft,
  also: {
    readonly rows?: readonly Row[];
    readonly expect?: readonly Expectation[];
    /** none: nobody else is in the room, and nobody is to hear of it by what happens to them in it. */
    readonly outgoing?: 'none';
  } = {},
): Promise<CommitResult> {
  const audience = draft.steps.length > 0 ? await deps.ports.rowsForAudienceChange(draft.steps) : [];
  const notifications = await notificationRows(deps, draft);
  return deps.storage.commit({
    rows: [
      ...draft.openingRows(),
      ...draft.rows,
      ...draft.closingRows(),
      ...(also.outgoing === 'none' ? [] : outgoingRows(deps, draft.events)),
      ...audience,
      // Before those of the caller, which may redact.
      ...notifications,
      ...(also.rows ?? []),
    ],
    expect: [...draft.expectations(), ...(also.expect ?? [])],
  });
}

async function notificationRows(deps: Pick<RoomsCore, 'ports'>, draft: RoomDraft): Promise<Row[]> {
  const rows: Row[] = [];
  for (const event of draft.events) {
    const { version } = draft;
    rows.push(
      ...(await deps.ports.rowsForNotifications({ event, version, readState: (keys) => draft.readState(keys) })),
    );
  }
  return rows;
}
