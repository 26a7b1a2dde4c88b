import { RecentlyUsed } from '../base/recently-used.ts';
import type { RecentNow } from '../feed/recent-reads.ts';
import { acceptsRoom, acceptsType, type SyncFilter } from '../matrix/filter.ts';
import type { EventId, RoomId, UserId } from '../matrix/ids.ts';
import type { StateMap } from '../matrix/pdu.ts';
import { encodeForMembers, withTransactionId } from '../rooms/client-event.ts';
import { encodeArrivalToken } from '../rooms/history-token.ts';
import { acceptsEvent } from '../rooms/reading/accepts-event.ts';
import { memberKey } from '../rooms/state-reads.ts';
import type { Roster } from '../roster/roster.ts';
import type { TimelineEvent, TimelinePage } from '../storage/contract/events.ts';
import type { SnapshotId } from '../storage/contract/state.ts';
import type { Storage } from '../storage/contract/storage.ts';
import type { Answer } from './answer.ts';
import { acceptsSection, timelineLimitOf } from './apply-filter.ts';
import { narrowNews, type SyncQuestion } from './stream.ts';

export interface SharedTimelinesDeps {
  readonly storage: Pick<Storage, 'state'>;
  readonly roster: Pick<Roster, 'roomsOf'>;
  readonly recent: Pick<RecentNow, 'bring' | 'findTimeline' | 'findCurrentSnapshot' | 'findIgnored'>;
}

export interface SharedTimelines {
  /** Brings what memory lacks for `read`, once for all who wait for it. Undefined where there is nothing to wait for. */
  prepare(question: SyncQuestion): Promise<unknown> | undefined;
  /** False where some of it is not of this kind. */
  read(question: SyncQuestion, answer: Answer): boolean;
}

/** With more rooms than this the usual reading, which asks for all at once, costs less. */
const roomsMax = 4;
/** A text's `age` is late by no more than this. */
const textKeptMs = 250;
const textsMax = 1_000;
const statesMax = 500;
/** In one state; with more they are looked up anew. */
const sendersMax = 500;
const memberType = 'm.room.member';

/**
 * What people say to each other in rooms in which nothing else happens: the greater part of all answers, and nearly the same for everybody there. Whoever was
 * joined all the time sees every such event; its text is made once, and a reader costs a look at each and what is their own.
 * Whatever else there may be to think about (state, redactions, forks, gaps, more events than the filter's limit) is left to the usual reading.
 */
export function createSharedTimelines(deps: SharedTimelinesDeps): SharedTimelines {
  const { recent, roster } = deps;
  /** Who sent lately in the states of rooms: their member events. */
  const members = new RecentlyUsed<SnapshotId, Map<UserId, EventId>>({ max: statesMax });
  const texts = new RecentlyUsed<TimelineEvent, { readonly text: string; readonly madeAtMs: number }>({
    max: textsMax,
  });

  const textOf = (event: TimelineEvent, { viewer, nowMs }: SyncQuestion): string => {
    let made = texts.get(event);
    if (made === undefined || nowMs - made.madeAtMs > textKeptMs || nowMs < made.madeAtMs) {
      made = { text: encodeForMembers(event, nowMs), madeAtMs: nowMs };
      texts.set(event, made);
    }
    const sent = event.transaction;
    const isEcho = sent !== null && sent.userId === viewer.userId && sent.deviceId === viewer.deviceId;
    return isEcho ? withTransactionId(made.text, sent.transactionId) : made.text;
  };

  /** Whether the device was told who sent the event, or does not have to be. */
  const knowsSender = ({ lazy, filter: { roomState } }: SyncQuestion, event: TimelineEvent): boolean => {
    if (lazy === null || !acceptsType(roomState, memberType) || !acceptsRoom(roomState, event.roomId)) return true;
    const eventId = members.get(event.snapshotAfter)?.get(event.sender);
    return (
      eventId !== undefined && !roomState.includeRedundantMembers && lazy.isKnown(event.roomId, event.sender, eventId)
    );
  };

  const bringMembers = (pages: readonly TimelinePage[]): Promise<unknown> | undefined => {
    const wanted = new Map<SnapshotId, Set<UserId>>();
    for (const page of pages) {
      for (const { snapshotAfter, sender } of recent.findTimeline(page) ?? []) {
        if (members.get(snapshotAfter)?.has(sender)) continue;
        wanted.set(snapshotAfter, (wanted.get(snapshotAfter) ?? new Set()).add(sender));
      }
    }
    return wanted.size === 0 ? undefined : readMembers(wanted);
  };

  const readMembers = async (wanted: ReadonlyMap<SnapshotId, ReadonlySet<UserId>>): Promise<void> => {
    const keys = new Map([...wanted].map(([snapshotId, users]) => [snapshotId, [...users].map(memberKey)]));
    const found: ReadonlyMap<SnapshotId, StateMap> = await deps.storage.state.getFromSnapshots(keys);
    for (const [snapshotId, users] of wanted) {
      const known = members.get(snapshotId) ?? new Map<UserId, EventId>();
      if (known.size + users.size > sendersMax) known.clear();
      for (const userId of users) {
        const eventId = found.get(snapshotId)?.get(memberKey(userId));
        if (eventId !== undefined) known.set(userId, eventId);
      }
      members.set(snapshotId, known);
    }
  };

  /** False where the room is not of this kind. */
  const readRoom = (question: SyncQuestion, page: TimelinePage, answer: Answer): boolean => {
    const { filter, viewer } = question;
    const events = recent.findTimeline(page);
    const snapshotId = recent.findCurrentSnapshot(page.roomId);
    const ignored = recent.findIgnored(viewer.userId);
    if (events === undefined || snapshotId === undefined || ignored === undefined) return false;
    if (events.length > timelineLimitOf(filter.roomTimeline)) return false;
    const shown: string[] = [];
    let first: TimelineEvent | undefined;
    for (const event of events) {
      if (!isPlain(event, snapshotId)) return false;
      if (ignored.has(event.sender) || !acceptsEvent(filter.roomTimeline, event)) continue;
      if (!knowsSender(question, event)) return false;
      first ??= event;
      shown.push(textOf(event, question));
    }
    if (first === undefined) return true;
    const prevBatch = encodeArrivalToken(first.position);
    answer.joinedRoom(page.roomId).timeline = { events: shown, limited: false, prevBatch };
    return true;
  };

  return {
    prepare(question) {
      const pages = listPages(roster, question);
      if (pages === undefined || pages.length === 0) return undefined;
      const bringing = recent.bring(question.viewer.userId, pages);
      if (question.lazy === null) return bringing;
      return bringing === undefined ? bringMembers(pages) : bringing.then(() => bringMembers(pages));
    },
    read(question, answer) {
      const pages = listPages(roster, question);
      return pages?.every((page) => readRoom(question, page, answer)) ?? false;
    },
  };
}

/** The rooms with new events; undefined where the question is none of this kind. */
function listPages(roster: Pick<Roster, 'roomsOf'>, question: SyncQuestion): TimelinePage[] | undefined {
  const { viewer, after, upTo, filter } = question;
  if (upTo <= after) return [];
  const news = narrowNews(question);
  if (news === undefined || !isPlainFilter(filter)) return undefined;
  const pages: TimelinePage[] = [];
  const joined = roster.roomsOf(viewer.userId);
  for (const roomId of common(news.stateRooms, joined)) if (acceptsRoom(filter, roomId)) return undefined;
  for (const roomId of common(news.eventRooms, joined)) {
    if (!acceptsRoom(filter, roomId)) continue;
    if (!acceptsSection(filter.roomTimeline, roomId) || pages.length === roomsMax) return undefined;
    pages.push({ roomId, after, upTo });
  }
  return pages;
}

function isPlainFilter({ eventFormat, eventFields, roomTimeline }: SyncFilter): boolean {
  if (eventFormat !== 'client' || eventFields !== undefined || timelineLimitOf(roomTimeline) === 0) return false;
  return roomTimeline.relatedByTypes === undefined && roomTimeline.relatedBySenders === undefined;
}

/**
 * At the room's one state all the time: what the viewer is now they were at the event. Who is `joined` sees it whatever the history visibility, and
 * unredacted though its sender had themselves erased.
 */
function isPlain(event: TimelineEvent, snapshotId: SnapshotId): boolean {
  if (event.stateKey !== null || event.redactedBy !== null) return false;
  return event.snapshotBefore === snapshotId && event.snapshotAfter === snapshotId;
}

function* common(few: ReadonlySet<RoomId>, many: ReadonlySet<RoomId>): Iterable<RoomId> {
  const [fewer, more] = few.size < many.size ? [few, many] : [many, few];
  for (const roomId of fewer) if (more.has(roomId)) yield roomId;
}
