import type { RoomId, UserId } from '../../matrix/ids.ts';
import { receiptContents } from '../../matrix/receipt-content.ts';
import type { TimelineEvent } from '../../storage/contract/events.ts';
import type { Position } from '../../storage/contract/numbers.ts';
import type { ReceiptRow } from '../../storage/contract/receipts.ts';
import type { ArrivedEvent, ArrivedOutOfBand, JoinChange, ServiceReads } from '../../storage/contract/services.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import type { Registration } from '../registration.ts';
import type { Interest } from './interest.ts';

/** Of one transaction. */
const eventsMax = 100;
const receiptsMax = 500;
/** Characters of the events of one transaction, of which there is at least one. */
const charactersMax = 1024 * 1024;
/** Beyond as many, which only a service long away meets, the room counts as it is today. */
const joinChangesMax = 10_000;

export interface NewsDeps {
  readonly storage: {
    readonly services: Pick<ServiceReads, 'listArrived' | 'listReceipts' | 'listOutOfBand' | 'listJoinChanges'>;
    readonly events: Pick<Storage['events'], 'listTimelineEventsByIds'>;
  };
  readonly interest: Interest;
  /** Events in the client's form with `room_id`, as this user gets them; JSON texts in the order given. */
  encodeEvents(events: readonly TimelineEvent[], viewer: UserId): Promise<string[]>;
}

/** What a service is to be told of a stretch of positions; JSON texts. */
export interface News {
  readonly events: readonly string[];
  readonly receipts: readonly string[];
  /** All up to here is in it, or is none of the service's business. */
  readonly upTo: Position;
}

type Receipt = ReceiptRow & { position: Position };

/** The oldest news behind `after` that fit into one transaction; maybe none, and maybe not up to `upTo`. */
export async function readNews(
  deps: NewsDeps,
  service: Registration,
  { after, upTo }: { readonly after: Position; readonly upTo: Position },
): Promise<News> {
  const { services } = deps.storage;
  const arrived = await services.listArrived(after, upTo);
  const outOfBand = await services.listOutOfBand(after, arrived.upTo, eventsMax);
  const receipts = service.receiveEphemeral ? await services.listReceipts(after, arrived.upTo, receiptsMax) : [];
  // What was cut off is looked at next time, and all that comes behind it.
  const looked = Math.min(arrived.upTo, endOf(outOfBand, eventsMax), endOf(receipts, receiptsMax));
  const wanted: Wanted[] = [
    ...(await selectEvents(deps, service, upToPosition(arrived.events, looked))),
    ...upToPosition(outOfBand, looked).filter(({ userId }) => deps.interest.isUserOf(service, userId)),
  ].sort((a, b) => a.position - b.position);
  const next = wanted[eventsMax];
  const end = next === undefined ? looked : next.position - 1;
  const encoded = await encode(deps, service, { wanted: wanted.slice(0, eventsMax), upTo: end });
  return {
    events: encoded.texts,
    receipts: await encodeReceipts(deps, service, upToPosition(receipts, encoded.upTo)),
    upTo: encoded.upTo,
  };
}

type Wanted = ArrivedEvent | ArrivedOutOfBand;

function endOf(found: readonly { readonly position: Position }[], limit: number): Position {
  return found.length < limit ? Number.POSITIVE_INFINITY : (found.at(-1)?.position ?? Number.POSITIVE_INFINITY);
}

function upToPosition<T extends { readonly position: Position }>(found: readonly T[], upTo: Position): T[] {
  return found.filter(({ position }) => position <= upTo);
}

/**
 * "An event is of interest if it matches any of the namespaces": its room, its sender, whom a membership is about, or a member of the room as
 * it was when the event came, so that a service that comes late gets what it would have got then.
 */
async function selectEvents(
  { interest, storage }: NewsDeps,
  service: Registration,
  events: readonly ArrivedEvent[],
): Promise<ArrivedEvent[]> {
  const [first] = events;
  if (first === undefined) return [];
  const rooms = new Set(events.map(({ roomId }) => roomId));
  await interest.loadAliases(rooms);
  const changes = await storage.services.listJoinChanges(rooms, first.position - 1, joinChangesMax);
  const members = new MembersBefore(changes.length < joinChangesMax ? changes : [], service, interest);
  return events.filter(
    (event) =>
      interest.mayNameRoom(service, event.roomId) ||
      interest.isUserOf(service, event.sender) ||
      (event.type === 'm.room.member' && event.stateKey !== null && interest.isUserOf(service, event.stateKey)) ||
      members.hadAny(event),
  );
}

/** Whether users of a service were in a room, from who is there now and what changed since. */
class MembersBefore {
  readonly #changes = new Map<RoomId, JoinChange[]>();
  readonly #service: Registration;
  readonly #interest: Interest;

  /** `changes`: newest first. */
  constructor(changes: readonly JoinChange[], service: Registration, interest: Interest) {
    this.#service = service;
    this.#interest = interest;
    for (const change of changes) {
      if (!interest.isUserOf(service, change.userId)) continue;
      const ofRoom = this.#changes.get(change.roomId);
      if (ofRoom) ofRoom.push(change);
      else this.#changes.set(change.roomId, [change]);
    }
  }

  hadAny({ roomId, position }: ArrivedEvent): boolean {
    let count = this.#interest.usersIn(this.#service, roomId).size;
    for (const change of this.#changes.get(roomId) ?? []) {
      if (change.position <= position) break;
      count += change.joined ? -1 : 1;
    }
    return count > 0;
  }
}

async function encode(
  deps: NewsDeps,
  service: Registration,
  { wanted, upTo }: { readonly wanted: readonly Wanted[]; readonly upTo: Position },
): Promise<{ texts: string[]; upTo: Position }> {
  const ids = wanted.flatMap((one) => ('eventId' in one ? [one.eventId] : []));
  const stored = ids.length > 0 ? await deps.storage.events.listTimelineEventsByIds(ids) : [];
  const byPosition = new Map(stored.map((event) => [event.position, event]));
  const events: TimelineEvent[] = [];
  let characters = 0;
  let end = upTo;
  for (const { position } of wanted) {
    const event = byPosition.get(position);
    if (!event) continue;
    characters += event.clientText.length;
    if (events.length > 0 && characters > charactersMax) {
      end = position - 1;
      break;
    }
    events.push(event);
  }
  const encoded = await deps.encodeEvents(events, service.sender);
  const textOf = new Map(events.map(({ position }, index) => [position, encoded[index]]));
  const texts = upToPosition(wanted, end).flatMap((one) => {
    const text = 'outOfBand' in one ? encodeOutOfBand(one) : textOf.get(one.position);
    return text === undefined ? [] : [text];
  });
  return { texts, upTo: end };
}

/** The stripped state stands where the specification has it for those who are told of an invite by an event. */
function encodeOutOfBand({ roomId, outOfBand: { event, strippedState } }: ArrivedOutOfBand): string {
  const isKnock = typeof event.content === 'object' && Reflect.get(event.content ?? {}, 'membership') === 'knock';
  const name = isKnock ? 'knock_room_state' : 'invite_room_state';
  const unsigned = strippedState.length > 0 ? { unsigned: { [name]: strippedState } } : {};
  return JSON.stringify({ ...event, room_id: roomId, ...unsigned });
}

/** "Private read receipts MUST only be sent for users matching one of the application service's namespaces." */
async function encodeReceipts(deps: NewsDeps, service: Registration, receipts: readonly Receipt[]): Promise<string[]> {
  const { interest } = deps;
  await interest.loadAliases(new Set(receipts.map(({ roomId }) => roomId)));
  const byRoom = new Map<RoomId, Receipt[]>();
  for (const receipt of receipts) {
    const isPrivate = receipt.receiptType === 'm.read.private';
    if (isPrivate && !interest.isUserOf(service, receipt.userId)) continue;
    if (!interest.mayConcernRoom(service, receipt.roomId)) continue;
    byRoom.set(receipt.roomId, [...(byRoom.get(receipt.roomId) ?? []), receipt]);
  }
  return [...byRoom].flatMap(([roomId, ofRoom]) =>
    receiptContents(ofRoom).map((content) => JSON.stringify({ type: 'm.receipt', room_id: roomId, content })),
  );
}
