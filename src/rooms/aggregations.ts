import type { Clock } from '../base/clock.ts';
import type { EventId, UserId } from '../matrix/ids.ts';
import { ignoredUsersType, parseIgnoredUsers } from '../matrix/ignored-users.ts';
import type { TimelineEvent } from '../storage/contract/events.ts';
import type { StoredAggregation } from '../storage/contract/relations.ts';
import type { Storage } from '../storage/contract/storage.ts';
import { type ClientEventDeps, type ClientEventOptions, type EventViewer, encodeClientEvents } from './client-event.ts';
import { filterVisible, type VisibilityDeps } from './visible-history.ts';

export type AggregationDeps = ClientEventDeps &
  VisibilityDeps & { readonly storage: Pick<Storage, 'accountData' | 'relations'> };

/**
 * What is told of these events in `unsigned.m.relations`, as JSON texts (client-server API, "Aggregations of child events"): the newest
 * replacement, the references, the thread with its newest event, which has its own. State events have none. What the viewer may not see, or
 * was sent by whom they ignore, is not told of; a thread whose newest event they may not see, as one that went on after they left, not at
 * all. One query where nothing relates to any of the events.
 */
export async function readAggregations(
  deps: AggregationDeps,
  events: readonly TimelineEvent[],
  viewer: EventViewer,
  options: ClientEventOptions,
): Promise<ReadonlyMap<EventId, string>> {
  const messages = events.filter((event) => event.stateKey === null).map((event) => event.eventId);
  const parents = messages.length > 0 ? [...(await deps.storage.events.listRelatedTo(messages, {}))] : [];
  if (parents.length === 0) return new Map();
  const ignored = await readIgnored(deps, viewer.userId);
  const asked = { userId: viewer.userId, ignored };
  const found = await deps.storage.relations.listAggregations(parents, asked);
  if (found.size === 0) return new Map();
  const newest = [...found.values()].flatMap(({ thread }) => (thread ? [thread.newest.eventId] : []));
  const ofNewest = newest.length > 0 ? await deps.storage.relations.listAggregations(newest, asked) : new Map();
  const visible = await listVisible(deps, viewer.userId, [...found.values(), ...ofNewest.values()]);

  const encode = async (
    children: readonly TimelineEvent[],
    aggregations: ReadonlyMap<EventId, string>,
  ): Promise<ReadonlyMap<EventId, string>> => {
    const texts = await encodeClientEvents(deps, children, viewer, { ...options, aggregations });
    return new Map(children.map((child, index) => [child.eventId, texts[index] ?? '{}']));
  };
  const all = [...found.values(), ...ofNewest.values()];
  const replacements = await encode(
    all.flatMap(({ replacement }) => visible.of(replacement)),
    new Map(),
  );
  const inner = textsOf(ofNewest, { visible, replacements, newest: new Map() });
  const threads = await encode(
    [...found.values()].flatMap(({ thread }) => visible.of(thread?.newest)),
    inner,
  );
  return textsOf(found, { visible, replacements, newest: threads });
}

/** Events in their places, with all that is told beside them, as everything but `/sync` gives them; in the order given. JSON texts. */
export async function encodeWithAggregations(
  deps: AggregationDeps & { readonly clock: Clock },
  events: readonly TimelineEvent[],
  viewer: EventViewer,
): Promise<string[]> {
  const options = { withRoomId: true, withMembership: true, nowMs: deps.clock.now() };
  const aggregations = await readAggregations(deps, events, viewer, options);
  return encodeClientEvents(deps, events, viewer, { ...options, aggregations });
}

/** Whom the user ignores. */
export async function readIgnored(
  deps: { readonly storage: Pick<Storage, 'accountData'> },
  userId: UserId,
): Promise<ReadonlySet<UserId>> {
  return parseIgnoredUsers((await deps.storage.accountData.find(userId, null, ignoredUsersType))?.content);
}

interface Visible {
  has(event: TimelineEvent): boolean;
  of(event: TimelineEvent | undefined): TimelineEvent[];
}

async function listVisible(
  deps: VisibilityDeps,
  viewer: UserId,
  found: readonly StoredAggregation[],
): Promise<Visible> {
  const children = found.flatMap(({ replacement, references, thread }) => [
    ...(replacement ? [replacement] : []),
    ...references,
    ...(thread ? [thread.newest] : []),
  ]);
  const ids = new Set((await filterVisible(deps, viewer, children)).map((event) => event.eventId));
  const has = (event: TimelineEvent): boolean => ids.has(event.eventId);
  return { has, of: (event) => (event && has(event) ? [event] : []) };
}

interface Parts {
  readonly visible: Visible;
  /** Encoded, by event id. */
  readonly replacements: ReadonlyMap<EventId, string>;
  readonly newest: ReadonlyMap<EventId, string>;
}

function textsOf(
  found: ReadonlyMap<EventId, StoredAggregation>,
  { visible, replacements, newest }: Parts,
): Map<EventId, string> {
  const texts = new Map<EventId, string>();
  for (const [eventId, { replacement, references, thread }] of found) {
    const parts: string[] = [];
    const replaced = replacement && replacements.get(replacement.eventId);
    if (replaced) parts.push(`"m.replace":${replaced}`);
    const chunk = references.filter(visible.has).map((event) => `{"event_id":${JSON.stringify(event.eventId)}}`);
    if (chunk.length > 0) parts.push(`"m.reference":{"chunk":[${chunk.join(',')}]}`);
    const latest = thread && newest.get(thread.newest.eventId);
    if (thread && latest) {
      const { count, participated } = thread;
      parts.push(`"m.thread":{"latest_event":${latest},"count":${count},"current_user_participated":${participated}}`);
    }
    if (parts.length > 0) texts.set(eventId, `{${parts.join(',')}}`);
  }
  return texts;
}
