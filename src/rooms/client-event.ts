import { breathe } from '../base/breathe.ts';
import type { DeviceId, EventId, UserId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { TimelineEvent } from '../storage/contract/events.ts';
import type { Membership } from '../storage/contract/rooms.ts';
import { type ErasureDeps, isOfErased, readErasedTexts } from './erased-events.ts';
import { memberKey, membershipIn, readStateSlices, type StateReadDeps } from './state-reads.ts';

export type ClientEventDeps = StateReadDeps & ErasureDeps;

export interface EventViewer {
  readonly userId: UserId;
  /** Null where the caller has no device: then no event is an echo of its own. */
  readonly deviceId: DeviceId | null;
}

export interface ClientEventOptions {
  /** `/sync` leaves `room_id` out, everything else has it. */
  readonly withRoomId: boolean;
  /** Whether `unsigned` tells what the viewer was in the room at the event: of events in their place in time, not of listed state. */
  readonly withMembership: boolean;
  readonly nowMs: number;
  /** `federation`: "the raw event as received over federation", completed by `event_id` and `unsigned`. `client` if not given. */
  readonly format?: 'client' | 'federation';
  /** For `unsigned.m.relations`, JSON texts: what `readAggregations` found. */
  readonly aggregations?: ReadonlyMap<EventId, string>;
}

/** What is read together, and how many texts are made between two looks at the clock. */
const eventsPerRead = 1_000;
const eventsPerLook = 100;

/**
 * The events as this viewer's device gets them, as JSON texts in the order given: the stored text completed by `room_id`
 * if wanted and by `unsigned` (client-server API, "Room event format"): `age`, `transaction_id` only for the device that
 * sent it, `membership` (MSC4115), `prev_content`, `prev_sender` and `replaces_state` of state events, `redacted_because`, `m.relations`.
 * Says nothing about whether the viewer may see them. A fixed number of reads for each thousand.
 */
export async function encodeClientEvents(
  deps: ClientEventDeps,
  events: readonly TimelineEvent[],
  viewer: EventViewer,
  options: ClientEventOptions,
): Promise<string[]> {
  if (events.length <= eventsPerRead) return encodeSome(deps, events, viewer, options);
  const texts: string[] = [];
  for (let start = 0; start < events.length; start += eventsPerRead) {
    texts.push(...(await encodeSome(deps, events.slice(start, start + eventsPerRead), viewer, options)));
    await breathe();
  }
  return texts;
}

async function encodeSome(
  deps: ClientEventDeps,
  events: readonly TimelineEvent[],
  viewer: EventViewer,
  options: ClientEventOptions,
): Promise<string[]> {
  if (events.length === 0) return [];
  const isAsked = (event: TimelineEvent): boolean => options.withMembership || isOfErased(deps, event);
  const placed = events.filter((event) => event.snapshotAfter > 0 && isAsked(event));
  const [related, slices, raw] = await Promise.all([
    readRelated(deps, events),
    readStateSlices(
      deps,
      placed.map((event) => event.snapshotAfter),
      [memberKey(viewer.userId)],
    ),
    options.format === 'federation' ? readRaw(deps, events) : undefined,
  ]);
  const membershipAt = ({ snapshotAfter }: TimelineEvent): Membership | undefined => {
    const slice = slices.get(snapshotAfter);
    return slice && membershipIn(slice, viewer.userId);
  };
  const erased = await readErasedTexts(deps, [...events, ...related.values()], viewer.userId, membershipAt);
  const textOf = (event: TimelineEvent): string => erased.get(event.eventId) ?? event.clientText;
  const texts: string[] = [];
  for (const [index, event] of events.entries()) {
    const membership = options.withMembership ? membershipAt(event) : undefined;
    const unsigned = unsignedOf(event, { related, membership, viewer, options, textOf });
    // What its author had erased is given in the one form in which it is redacted.
    const pdu = erased.has(event.eventId) ? undefined : raw?.[index];
    texts.push(
      pdu === undefined
        ? splice(event, textOf(event), { unsigned, withRoomId: options.withRoomId })
        : spliceUnsigned(pdu, unsigned),
    );
    if (index % eventsPerLook === eventsPerLook - 1) await breathe();
  }
  return texts;
}

/**
 * An event that relates to nothing of its viewer but that they were joined behind it, as `/sync` tells it to all of those: neither state nor
 * redacted.
 */
export function encodeForMembers(event: TimelineEvent, nowMs: number): string {
  const unsigned = `{"age":${nowMs - event.originServerTs},"membership":"join"}`;
  return splice(event, event.clientText, { unsigned, withRoomId: false });
}

/** The same for the device that sent it. */
export function withTransactionId(text: string, transactionId: string): string {
  return `${text.slice(0, -2)},"transaction_id":${JSON.stringify(transactionId)}}}`;
}

/** The PDUs without what others may have written into `unsigned`; in the order of the events, all of which are stored. */
async function readRaw(deps: StateReadDeps, events: readonly TimelineEvent[]): Promise<string[]> {
  const texts = await deps.storage.events.listPduTexts(events.map((event) => event.eventId));
  return texts.map((text, index) => {
    const { unsigned: _, ...pdu }: JsonObject = JSON.parse(text);
    return JSON.stringify({ event_id: events[index]?.eventId, ...pdu });
  });
}

async function readRelated(
  deps: StateReadDeps,
  events: readonly TimelineEvent[],
): Promise<ReadonlyMap<string, TimelineEvent>> {
  const wanted = new Set(events.flatMap((event) => [event.replaces, event.redactedBy].filter((id) => id !== null)));
  if (wanted.size === 0) return new Map();
  const found = await deps.storage.events.listTimelineEventsByIds([...wanted]);
  return new Map(found.map((event) => [event.eventId, event]));
}

interface Surroundings {
  readonly related: ReadonlyMap<string, TimelineEvent>;
  /** What the viewer was behind the event; undefined where that is not known. */
  readonly membership: Membership | undefined;
  readonly viewer: EventViewer;
  readonly options: ClientEventOptions;
  readonly textOf: (event: TimelineEvent) => string;
}

function unsignedOf(event: TimelineEvent, around: Surroundings): string {
  const { viewer, options } = around;
  const parts = [`"age":${options.nowMs - event.originServerTs}`];
  // "including any changes caused by the event" (MSC4115), therefore the state behind it.
  if (around.membership) parts.push(`"membership":"${around.membership}"`);
  // "This will be set by the server only to the device that sent the event."
  const sent = event.transaction;
  if (sent && sent.userId === viewer.userId && sent.deviceId === viewer.deviceId) {
    parts.push(`"transaction_id":${JSON.stringify(sent.transactionId)}`);
  }
  const replaced = event.replaces === null ? undefined : around.related.get(event.replaces);
  if (replaced) {
    const { content } = JSON.parse(around.textOf(replaced)) as { content: unknown };
    parts.push(`"replaces_state":${JSON.stringify(replaced.eventId)}`);
    parts.push(`"prev_sender":${JSON.stringify(replaced.sender)}`);
    parts.push(`"prev_content":${JSON.stringify(content)}`);
  }
  const redaction = event.redactedBy === null ? undefined : around.related.get(event.redactedBy);
  if (redaction) {
    const unsigned = `{"age":${options.nowMs - redaction.originServerTs}}`;
    const text = splice(redaction, around.textOf(redaction), { unsigned, withRoomId: options.withRoomId });
    parts.push(`"redacted_because":${text}`);
  }
  const aggregation = options.aggregations?.get(event.eventId);
  if (aggregation) parts.push(`"m.relations":${aggregation}`);
  return `{${parts.join(',')}}`;
}

/** The text is an object with at least one field, so its closing brace can make room for more. */
function splice(
  event: TimelineEvent,
  text: string,
  { unsigned, withRoomId }: { readonly unsigned: string; readonly withRoomId: boolean },
): string {
  const roomId = withRoomId ? `,"room_id":${JSON.stringify(event.roomId)}` : '';
  return `${text.slice(0, -1)}${roomId},"unsigned":${unsigned}}`;
}

function spliceUnsigned(text: string, unsigned: string): string {
  return `${text.slice(0, -1)},"unsigned":${unsigned}}`;
}
