import { breathe } from '../../base/breathe.ts';
import { signedTextOf } from '../../engine/event/event-id.ts';
import { type ParsedPdu, parseReceivedPdu } from '../../engine/event/parse.ts';
import { keysValidAt, listRequiredSigners, withTrustedContent } from '../../engine/event/verify.ts';
import type { EventId, RoomId } from '../../matrix/ids.ts';
import type { RoomEvent } from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import type { RoomsCore } from './deps.ts';

/** An event as another server gave it: any JSON, read exactly. */
export type IncomingEvent = unknown;

export interface VerifiedEvents {
  /** In their order, each with nothing in it but what its hash covers. */
  readonly good: readonly RoomEvent[];
  /** Whether they are signed, depends on keys that nobody gave so far. As they came. */
  readonly unknown: readonly RoomEvent[];
}

/** Checks 2 and 3 of "Checks performed on receipt of a PDU" for many events at once. Those whose signatures are missing or wrong are dropped. */
export async function checkSigned(
  deps: Pick<RoomsCore, 'checkSignatures'>,
  events: readonly RoomEvent[],
  options: { readonly version: RoomVersion; readonly ask: boolean },
): Promise<VerifiedEvents> {
  const { version, ask } = options;
  const checks = events.map((event) => ({
    object: event.pdu,
    message: Buffer.from(signedTextOf(event.pdu, version)),
    servers: listRequiredSigners(event, version),
    validAtMs: keysValidAt(event.pdu, version),
  }));
  const results = await deps.checkSignatures(checks, { ask });
  const good: RoomEvent[] = [];
  const unknown: RoomEvent[] = [];
  for (const [index, event] of events.entries()) {
    // A third-party invite needs nobody's signature but the one that the rules check.
    const isSigned = checks[index]?.servers.length === 0 || results[index] === 'good';
    if (isSigned) good.push(withTrustedContent(event, version));
    else if (results[index] === 'unknown') unknown.push(event);
    if (index % 100 === 99) await breathe();
  }
  return { good, unknown };
}

/** The good ones, after asking for all keys. */
export async function verifyEvents(
  deps: Pick<RoomsCore, 'checkSignatures'>,
  events: readonly RoomEvent[],
  version: RoomVersion,
): Promise<readonly RoomEvent[]> {
  return (await checkSigned(deps, events, { version, ask: true })).good;
}

/** Check 1 as well: the events among these that are well-formed for the version and of this room, each id once. */
export async function parseAndVerify(
  deps: Pick<RoomsCore, 'checkSignatures'>,
  incoming: readonly IncomingEvent[],
  room: { readonly roomId: RoomId; readonly version: RoomVersion },
): Promise<readonly RoomEvent[]> {
  return verifyEvents(deps, await parseEvents(incoming, room), room.version);
}

/** Check 1 alone. */
export async function parseEvents(
  incoming: readonly IncomingEvent[],
  room: { readonly roomId: RoomId; readonly version: RoomVersion },
): Promise<RoomEvent[]> {
  const parsed = new Map<EventId, RoomEvent>();
  for (const [index, json] of incoming.entries()) {
    const result: ParsedPdu = parseReceivedPdu(json, room.version, { keepsText: false });
    if (result.outcome === 'parsed' && result.event.roomId === room.roomId) {
      parsed.set(result.event.eventId, result.event);
    }
    if (index % 100 === 99) await breathe();
  }
  return [...parsed.values()];
}
