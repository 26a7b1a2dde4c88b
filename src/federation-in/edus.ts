import type { Log } from '../base/log.ts';
import { isRoomId, type RoomId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { ServerName } from '../matrix/server-name.ts';

export interface EduReceiverDeps {
  /** Content of one `m.typing`. Total: drops what is malformed or not the origin's to say. */
  readonly receiveTyping: (origin: ServerName, content: unknown) => Promise<void> | void;
  /** Content of one `m.receipt`. Total, entry by entry. */
  readonly receiveReceipts: (origin: ServerName, content: unknown) => Promise<void>;
  /** Contents of all `m.presence` of one transaction, in order. Total. */
  readonly receivePresence: (origin: ServerName, contents: readonly unknown[]) => Promise<void>;
  /** Contents of all `m.direct_to_device` of one transaction, in order. Total, each once. */
  readonly receiveToDevice: (origin: ServerName, contents: readonly unknown[]) => Promise<void>;
  /** Content of one `m.device_list_update`. Total, each once. */
  readonly receiveDeviceListUpdate: (origin: ServerName, content: JsonObject) => Promise<void>;
  /** Content of one `m.signing_key_update`. Total. */
  readonly receiveSigningKeyUpdate: (origin: ServerName, content: JsonObject) => Promise<void>;
  /** Whether the room's `m.room.server_acl` lets this server in. True for unknown rooms. */
  readonly isServerAllowed: (roomId: RoomId, server: ServerName) => Promise<boolean>;
  readonly log: Log;
}

export interface EduReceiver {
  /** Hands each EDU to whom it concerns. Unknown types and malformed ones are dropped; nothing is thrown. */
  receive(origin: ServerName, edus: readonly unknown[]): Promise<void>;
}

interface ParsedEdu {
  type: string;
  content: Record<string, unknown>;
}

export function createEduReceiver(deps: EduReceiverDeps): EduReceiver {
  const receiveOne = async (origin: ServerName, { type, content }: ParsedEdu): Promise<void> => {
    if (type === 'm.typing' && isRoomId(content.room_id)) {
      if (await deps.isServerAllowed(content.room_id, origin)) await deps.receiveTyping(origin, content);
    }
    if (type === 'm.device_list_update') await deps.receiveDeviceListUpdate(origin, content);
    // The second is what servers from before v1.1 send.
    if (type === 'm.signing_key_update' || type === 'org.matrix.signing_key_update')
      await deps.receiveSigningKeyUpdate(origin, content);
    if (type === 'm.receipt') await deps.receiveReceipts(origin, await withoutForbiddenRooms(origin, content));
  };

  // Server-server API, "Server Access Control Lists": EDUs that name a room obey its list.
  const withoutForbiddenRooms = async (origin: ServerName, content: Record<string, unknown>) => {
    const allowed: [string, unknown][] = [];
    for (const [roomId, receipts] of Object.entries(content).slice(0, receiptRoomsMax))
      if (isRoomId(roomId) && (await deps.isServerAllowed(roomId, origin))) allowed.push([roomId, receipts]);
    return Object.fromEntries(allowed);
  };

  return {
    async receive(origin, edus) {
      const parsed = edus.flatMap((edu) => parseEdu(edu) ?? []);
      const presence = parsed.filter(({ type }) => type === 'm.presence').map(({ content }) => content);
      if (presence.length > 0) await contain(deps.log, () => deps.receivePresence(origin, presence));
      const messages = parsed.filter(({ type }) => type === 'm.direct_to_device').map(({ content }) => content);
      if (messages.length > 0) await contain(deps.log, () => deps.receiveToDevice(origin, messages));
      for (const edu of parsed) await contain(deps.log, () => receiveOne(origin, edu));
    },
  };
}

/** Rooms that one receipt EDU may speak of; the rest of a longer one is dropped. */
const receiptRoomsMax = 1_000;

function parseEdu(edu: unknown): ParsedEdu | undefined {
  if (typeof edu !== 'object' || edu === null) return undefined;
  const { edu_type: type, content } = edu as Record<string, unknown>;
  if (typeof type !== 'string' || typeof content !== 'object' || content === null || Array.isArray(content))
    return undefined;
  return { type, content: content as Record<string, unknown> };
}

/** One EDU that shows a bug of ours never takes its neighbours, or the transaction, with it. */
async function contain(log: Log, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    log.error({ err: error }, 'an EDU could not be taken in');
  }
}
