import { breathe } from '../../base/breathe.ts';
import { type ParsedPdu, parsePdu } from '../../engine/event/parse.ts';
import { keysValidAt, listRequiredSigners, signedFormOf, withTrustedContent } from '../../engine/event/verify.ts';
import type { RoomEvent } from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import type { RoomsCore } from './deps.ts';

/** An event as another server gave it: any JSON, read exactly. */
export type IncomingEvent = unknown;

/**
 * Checks 2 and 3 of "Checks performed on receipt of a PDU" for many events at once: those whose required signatures are all good,
 * in their order, each with nothing in it but what its hash covers. The others are dropped.
 */
export async function verifyEvents(
  deps: Pick<RoomsCore, 'verifySignatures'>,
  events: readonly RoomEvent[],
  version: RoomVersion,
): Promise<RoomEvent[]> {
  const checks = events.map((event) => ({
    object: signedFormOf(event.pdu, version),
    servers: listRequiredSigners(event, version),
    validAtMs: keysValidAt(event.pdu, version),
  }));
  const results = await deps.verifySignatures(checks);
  const good: RoomEvent[] = [];
  for (const [index, event] of events.entries()) {
    // A third-party invite needs nobody's signature but the one that the rules check.
    const isSigned = checks[index]?.servers.length === 0 || results[index] === true;
    if (isSigned) good.push(withTrustedContent(event, version));
    if (index % 100 === 99) await breathe();
  }
  return good;
}

/** Check 1 as well: the events among these that are well-formed for the version and of this room. */
export async function parseAndVerify(
  deps: Pick<RoomsCore, 'verifySignatures'>,
  incoming: readonly unknown[],
  room: { readonly roomId: string; readonly version: RoomVersion },
): Promise<RoomEvent[]> {
  const parsed = new Map<string, RoomEvent>();
  for (const [index, json] of incoming.entries()) {
    const result: ParsedPdu = parsePdu(json, room.version);
    if (result.outcome === 'parsed' && result.event.roomId === room.roomId) {
      parsed.set(result.event.eventId, result.event);
    }
    if (index % 100 === 99) await breathe();
  }
  return verifyEvents(deps, [...parsed.values()], room.version);
}
