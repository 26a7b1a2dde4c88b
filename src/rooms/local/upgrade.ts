import { breathe } from '../../base/breathe.ts';
import { creatorsOf } from '../../engine/power.ts';
import { badJson, forbidden, MatrixError, serverUnavailable, unsupportedRoomVersion } from '../../matrix/errors.ts';
import { isUserId, type RoomId, type UserId } from '../../matrix/ids.ts';
import { type JsonObject, type RoomEvent, stateKeyOf } from '../../matrix/pdu.ts';
import { findRoomVersion } from '../../matrix/room-versions.ts';
import type { Row } from '../../storage/contract/commit.ts';
import { commitDraft } from '../core/commit-draft.ts';
import type { RoomsCore } from '../core/deps.ts';
import { RoomDraft } from '../core/room-draft.ts';
import { findRoomHead, newRoomHead, type RoomHead } from '../core/room-head.ts';
import type { CreateEvents } from './create-event.ts';
import type { PlannedState } from './create-plan.ts';
import { memberContent } from './member-content.ts';
import {
  planReplacement,
  type Replacement,
  type ReplacementPlan,
  type RoomToReplace,
  readTypes,
  restrictedPowerLevels,
  splitCanonicalAlias,
} from './upgrade-plan.ts';

export type UpgradeDeps = Pick<
  RoomsCore,
  'storage' | 'clock' | 'sign' | 'lock' | 'roster' | 'serverName' | 'ports' | 'log'
> & { readonly createEvents: CreateEvents };

export interface UpgradeRequest {
  readonly newVersion: string;
  /** Only for versions whose creators stand above all; others pass them over. */
  readonly additionalCreators: readonly string[];
}

export interface Upgrading {
  /**
   * Client-server API, "Room Upgrades": makes the replacement with what can be transferred, moves this server's aliases and the place in the
   * public list, and closes the old room. Throws M_UNSUPPORTED_ROOM_VERSION, M_BAD_JSON for creators that are no user ids, and M_FORBIDDEN
   * for whoever may not send the tombstone: then nothing is left behind.
   */
  upgradeRoom(upgrader: UserId, roomId: RoomId, request: UpgradeRequest): Promise<RoomId>;
}

/** Bans are written in commits of so many. */
const bansPerCommit = 100;

export function createUpgrading(deps: UpgradeDeps): Upgrading {
  const underWay = new Map<string, Promise<RoomId>>();
  return {
    async upgradeRoom(upgrader, roomId, { newVersion, additionalCreators }) {
      const version = findRoomVersion(newVersion);
      if (!version) throw unsupportedRoomVersion('This server does not support that room version');
      if (!additionalCreators.every(isUserId)) throw badJson("'additional_creators' is not a list of user ids");
      // Who presses the button twice gets one room.
      const key = JSON.stringify([upgrader, roomId, newVersion, additionalCreators]);
      const known = underWay.get(key);
      if (known !== undefined) return known;
      const replacement = { version, upgrader, additionalCreators };
      const begun = deps.lock
        .run(roomId, () => replaceLocked(deps, roomId, replacement))
        .finally(() => underWay.delete(key));
      underWay.set(key, begun);
      return begun;
    },
  };
}

/**
 * Under the lock of the old room. The tombstone is decided first and stored last: without it there is no replacement, and what is left of
 * an upgrade that ended half-way is a room that nobody knows of.
 */
async function replaceLocked(deps: UpgradeDeps, roomId: RoomId, replacement: Replacement): Promise<RoomId> {
  const { upgrader, version } = replacement;
  const head = deps.roster.isJoined(roomId, upgrader) ? await findRoomHead(deps.storage, roomId) : undefined;
  if (!head) throw forbidden('You are not in this room');
  const closing = new RoomDraft(deps, head);
  const old = await readRoom(deps, head, closing);
  const plan = planReplacement(old, replacement);
  const create = await makeCreate(deps, closing, { replacement, plan });
  const aliases = await deps.storage.directory.listAliases(roomId);
  const split = splitCanonicalAlias(
    await contentIn(closing, 'm.room.canonical_alias'),
    new Set(aliases.map(({ alias }) => alias)),
  );
  const more = split ? [{ type: 'm.room.canonical_alias', stateKey: '', content: split.replacement }] : [];
  await openReplacement(deps, create, { upgrader, plan: { ...plan, state: [...plan.state, ...more] } });
  await appendIfAllowed(
    deps,
    closing,
    upgrader,
    restrictedPowerLevels(old.contents.get('m.room.power_levels') ?? {}, head.version),
    'm.room.power_levels',
  );
  await appendIfAllowed(deps, closing, upgrader, split?.old, 'm.room.canonical_alias');
  const rows: Row[] = aliases.map((row) => ({ kind: 'alias', ...row, roomId: create.roomId }));
  if ((await deps.storage.directory.getVisibility(roomId)) === 'public') {
    rows.push({ kind: 'room_visibility', roomId: create.roomId, visibility: 'public' });
    rows.push({ kind: 'room_visibility', roomId, visibility: 'private' });
  }
  const result = await commitDraft(deps, closing, { rows });
  if (result.outcome === 'conflict') throw serverUnavailable('The room is busy, try again');
  deps.log.info({ roomId, replacement: create.roomId, version: version.id }, 'a room was upgraded');
  return create.roomId;
}

/** The create event, and in `closing` the tombstone, which is the first thing that the upgrader may turn out not to be allowed to. */
async function makeCreate(
  deps: UpgradeDeps,
  closing: RoomDraft,
  { replacement: { upgrader, version }, plan }: { replacement: Replacement; plan: ReplacementPlan },
): Promise<RoomEvent> {
  const make = (predecessor: JsonObject, roomId?: RoomId): RoomEvent =>
    deps.createEvents.make({
      creator: upgrader,
      version,
      content: { ...plan.createContent, predecessor },
      ...(roomId === undefined ? {} : { roomId }),
    });
  const tombstone = (roomId: RoomId): Promise<RoomEvent> =>
    closing.append({
      type: 'm.room.tombstone',
      sender: upgrader,
      stateKey: '',
      content: { body: 'This room has been replaced', replacement_room: roomId },
    });
  if (version.roomIdFormat === 'create_hash') {
    // Each would have to hold the other's id, so "the `event_id` property inside `predecessor` MAY be omitted".
    const create = make({ room_id: closing.roomId });
    await tombstone(create.roomId);
    return create;
  }
  const roomId = deps.createEvents.newRoomId();
  const { eventId } = await tombstone(roomId);
  return make({ room_id: closing.roomId, event_id: eventId }, roomId);
}

async function readRoom(deps: UpgradeDeps, head: RoomHead, draft: RoomDraft): Promise<RoomToReplace> {
  const { storage } = deps;
  const found = await draft.readState(readTypes.map((type) => stateKeyOf(type, '')));
  const events = [...found.values()];
  const create = events.find((event) => event.pdu.type === 'm.room.create');
  const banned = await storage.rooms.listMembers(head.roomId, ['ban']);
  const bans = new Map(
    (await storage.events.listByIds(banned.map(({ eventId }) => eventId))).map(({ event }) => [event.eventId, event]),
  );
  const isSpace = create?.pdu.content.type === 'm.space';
  const children = isSpace ? await storage.state.listCurrent(head.roomId, 'm.space.child') : [];
  return {
    version: head.version,
    contents: new Map(events.map((event) => [event.pdu.type, event.pdu.content])),
    children: new Map(children.map((child) => [child.stateKey ?? '', contentOf(child.clientText)])),
    bans: banned.map(({ userId, eventId }) => ({ userId, content: bans.get(eventId)?.pdu.content ?? {} })),
    privilegedCreators:
      create && head.version.privilegedCreators ? creatorsOf(create, head.version) : new Set<string>(),
  };
}

function contentOf(clientText: string): JsonObject {
  const { content }: { content: JsonObject } = JSON.parse(clientText);
  return content;
}

async function contentIn(draft: RoomDraft, type: string): Promise<JsonObject | undefined> {
  const key = stateKeyOf(type, '');
  return (await draft.readState([key])).get(key)?.pdu.content;
}

/**
 * Writes the new room. Nobody else knows of it yet, so nothing of it goes to other servers. As long as it has no power levels its creator
 * may do all that has to be done, and as long as it has no join rules nobody comes in.
 */
async function openReplacement(
  deps: UpgradeDeps,
  create: RoomEvent,
  { upgrader, plan }: { upgrader: UserId; plan: ReplacementPlan },
): Promise<void> {
  const { roomId } = create;
  const isWhole = plan.bans.length <= bansPerCommit;
  await deps.lock.run(roomId, async () => {
    const version = findRoomVersion(create.roomVersion);
    if (!version) throw unsupportedRoomVersion('This server does not support that room version');
    const draft = new RoomDraft(deps, newRoomHead(deps.storage, roomId, version));
    await draft.add(create);
    const content = await memberContent(deps, { userId: upgrader, membership: 'join' });
    await appendAll(draft, upgrader, [
      { type: 'm.room.member', stateKey: upgrader, content },
      ...plan.state,
      ...(isWhole ? [...plan.bans, ...plan.ending] : []),
    ]);
    await commitAlone(deps, draft);
  });
  if (isWhole) return;
  for (let start = 0; start <= plan.bans.length; start += bansPerCommit) {
    const bans = plan.bans.slice(start, start + bansPerCommit);
    const isLast = start + bansPerCommit > plan.bans.length;
    await deps.lock.run(roomId, async () => {
      const head = await findRoomHead(deps.storage, roomId);
      if (!head) throw serverUnavailable('The new room is gone, try again');
      const draft = new RoomDraft(deps, head);
      await appendAll(draft, upgrader, [...bans, ...(isLast ? plan.ending : [])]);
      await commitAlone(deps, draft);
    });
  }
}

async function appendAll(draft: RoomDraft, sender: UserId, state: readonly PlannedState[]): Promise<void> {
  for (const { type, stateKey, content } of state) {
    await draft.append({ type, sender, stateKey, content });
    await breathe();
  }
}

async function commitAlone(deps: UpgradeDeps, draft: RoomDraft): Promise<void> {
  const result = await commitDraft(deps, draft, { outgoing: 'none' });
  if (result.outcome === 'conflict') throw serverUnavailable('The new room could not be made, try again');
}

/** "If possible": what the upgrader's power does not reach stays as it is. */
async function appendIfAllowed(
  deps: UpgradeDeps,
  draft: RoomDraft,
  sender: UserId,
  content: JsonObject | undefined,
  type: string,
): Promise<void> {
  if (!content) return;
  try {
    await draft.append({ type, sender, stateKey: '', content });
  } catch (error) {
    if (!(error instanceof MatrixError)) throw error;
    deps.log.info({ roomId: draft.roomId, type, reason: error.message }, 'state of an upgraded room stays as it is');
  }
}
