import { type AuthState, authStateOfMap } from '../../engine/auth-state.ts';
import { redact } from '../../engine/event/redact.ts';
import { findRedactionTarget, mayApplyRedaction } from '../../engine/event/redaction-target.ts';
import type { RoomEvent } from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import type { Row } from '../../storage/contract/commit.ts';
import type { RoomsCore } from './deps.ts';
import { powerKeys } from './power-keys.ts';
import { readStateEvents } from './state-events.ts';
import { type StatePoint, storedPoint } from './state-point.ts';

type RedactionDeps = Pick<RoomsCore, 'storage'>;

/**
 * What an accepted event changes by redaction: as a redaction, the event it names, now or once that comes; as any event, itself,
 * where a redaction of it came first.
 */
export async function redactionRows(
  deps: RedactionDeps,
  event: RoomEvent,
  facts: { readonly before: StatePoint; readonly version: RoomVersion },
): Promise<Row[]> {
  return [...(await rowsAsRedaction(deps, event, facts)), ...(await rowsAsTarget(deps, event, facts.version))];
}

async function rowsAsRedaction(
  deps: RedactionDeps,
  redaction: RoomEvent,
  facts: { readonly before: StatePoint; readonly version: RoomVersion },
): Promise<Row[]> {
  const targetId = findRedactionTarget(redaction.pdu, facts.version);
  if (targetId === undefined) return [];
  const target = await deps.storage.events.find(targetId);
  if (!target) return [{ kind: 'redaction_waiting', redaction: redaction.eventId, target: targetId }];
  if (target.redactedBy !== null) return [];
  const state = await readPowerState(deps, facts.before);
  if (!mayApplyRedaction({ redaction, target: target.event }, state, facts.version)) return [];
  return [redactionRow(redaction, target.event, facts.version)];
}

async function rowsAsTarget(deps: RedactionDeps, target: RoomEvent, version: RoomVersion): Promise<Row[]> {
  for (const redactionId of await deps.storage.events.listWaitingRedactions(target.eventId)) {
    const redaction = await deps.storage.events.find(redactionId);
    if (redaction?.verdict !== 'accepted' || redaction.snapshotBefore === null) continue;
    const state = await readPowerState(deps, storedPoint(deps, redaction.snapshotBefore));
    if (mayApplyRedaction({ redaction: redaction.event, target }, state, version)) {
      return [redactionRow(redaction.event, target, version)];
    }
  }
  return [];
}

function redactionRow(redaction: RoomEvent, target: RoomEvent, version: RoomVersion): Row {
  const redacted = redact(target.pdu, version);
  return { kind: 'redaction', eventId: target.eventId, redactedBy: redaction.eventId, redacted };
}

async function readPowerState(deps: RedactionDeps, point: StatePoint): Promise<AuthState> {
  return authStateOfMap(await readStateEvents(deps, point, powerKeys));
}
