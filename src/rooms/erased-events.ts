import { redactJson } from '../engine/event/redact.ts';
import type { RoomId, UserId } from '../matrix/ids.ts';
import { getRoomVersion, type RoomVersion } from '../matrix/room-versions.ts';
import type { TimelineEvent } from '../storage/contract/events.ts';
import type { Position } from '../storage/contract/numbers.ts';
import type { Membership } from '../storage/contract/rooms.ts';
import type { Storage } from '../storage/contract/storage.ts';

export type ErasureDeps = { readonly storage: Pick<Storage, 'accounts' | 'rooms'> };

/**
 * "Erasure means that any users (or servers) which join the room after the erasure request are served redacted copies of the events
 * sent by this account. Users which had visibility on those events prior to the erasure are still able to see unredacted copies"
 * (client-server API, "Account deactivation"). What users wrote and what they said of themselves counts as theirs; the name or the
 * rules that they once gave a room belong to the room.
 */
export function isErasable({
  type,
  stateKey,
  sender,
}: {
  type: string;
  stateKey: string | null;
  sender: UserId;
}): boolean {
  return stateKey === null || (type === 'm.room.member' && stateKey === sender);
}

/** Whether a user sent it who has asked for erasure since. */
export function isOfErased(deps: ErasureDeps, event: TimelineEvent): boolean {
  return isErasable(event) && deps.storage.accounts.erasedAt(event.sender) !== undefined;
}

/**
 * The texts of the events as this viewer may have them, where that is not as they are stored: by their ids. `membershipAt` says what
 * the viewer was in the room when an event happened. Reads once for each erased user in a room, nothing where there is none.
 */
export async function readErasedTexts(
  deps: ErasureDeps,
  events: readonly TimelineEvent[],
  viewer: UserId,
  membershipAt: (event: TimelineEvent) => Membership | undefined,
): Promise<ReadonlyMap<string, string>> {
  const texts = new Map<string, string>();
  const stays = new Map<string, boolean>();
  const versions = new Map<RoomId, RoomVersion | undefined>();
  for (const event of events) {
    const erasedAt = isErasable(event) ? deps.storage.accounts.erasedAt(event.sender) : undefined;
    if (erasedAt === undefined || event.sender === viewer || membershipAt(event) === 'join') continue;
    const stay = `${event.roomId} ${erasedAt}`;
    const wasThere = stays.get(stay) ?? (await wasJoined(deps, { roomId: event.roomId, viewer, at: erasedAt }));
    stays.set(stay, wasThere);
    if (wasThere) continue;
    if (!versions.has(event.roomId)) versions.set(event.roomId, await findVersion(deps, event.roomId));
    const version = versions.get(event.roomId);
    if (version !== undefined) texts.set(event.eventId, redactText(event.clientText, version));
  }
  return texts;
}

async function wasJoined(
  { storage }: ErasureDeps,
  { roomId, viewer, at }: { readonly roomId: RoomId; readonly viewer: UserId; readonly at: Position },
): Promise<boolean> {
  return (await storage.rooms.findMembershipAt(roomId, viewer, at))?.membership === 'join';
}

async function findVersion({ storage }: ErasureDeps, roomId: RoomId): Promise<RoomVersion | undefined> {
  const room = await storage.rooms.find(roomId);
  return room && getRoomVersion(room.version);
}

/** The event as its redaction would leave it, in the client's form. */
export async function readRedacted(deps: ErasureDeps, event: TimelineEvent): Promise<TimelineEvent> {
  const version = await findVersion(deps, event.roomId);
  return version ? { ...event, clientText: redactText(event.clientText, version) } : event;
}

function redactText(clientText: string, version: RoomVersion): string {
  return JSON.stringify(redactJson(JSON.parse(clientText), version));
}
