import { findThread } from '../ephemeral/threads.ts';
import type { FeedOfCommits } from '../feed/change-feed.ts';
import { RecentUnread } from '../feed/recent-unread.ts';
import { Ignorers } from '../push/judging/ignorers.ts';
import { createNotify } from '../push/judging/notify.ts';
import { OwnRules } from '../push/judging/own-rules.ts';
import { createPushers, type Pushers } from '../push/pushers.ts';
import { createPushRules, type PushRules } from '../push/rules.ts';
import { createGateway } from '../push/sending/gateway.ts';
import { PushSender } from '../push/sending/push-sender.ts';
import type { RoomsPorts } from '../rooms/core/deps.ts';
import type { Roster } from '../roster/roster.ts';
import type { Storage } from '../storage/contract/storage.ts';
import type { Outgoing } from './outgoing.ts';
import type { Surroundings } from './surroundings.ts';

export interface PushParts {
  readonly pushRules: PushRules;
  readonly pushers: Pushers;
  readonly unread: RecentUnread;
  readonly pushSender: PushSender;
  readonly notify: RoomsPorts['rowsForNotifications'];
}

interface PushNeighbours {
  readonly storage: Storage;
  readonly roster: Roster;
  readonly feed: FeedOfCommits;
  readonly outgoing: Pick<Outgoing, 'http'>;
}

/** Who is notified of what. What it keeps in memory is told of a commit before anybody whom it wakes. */
export async function createPushParts(
  { config, clock, random, log }: Surroundings,
  { storage, roster, feed, outgoing }: PushNeighbours,
): Promise<PushParts> {
  const ownRules = new OwnRules(storage.accountData);
  const ignorers = new Ignorers(storage.accountData);
  const unread = new RecentUnread(storage.unread);
  for (const part of [ownRules, ignorers, unread]) feed.onChanges((changes) => part.apply(changes));
  await ownRules.load();
  await ignorers.load();
  const gateway = createGateway({ http: outgoing.http });
  const pushSender = new PushSender({ storage, unread, roster, gateway, clock, random, log });
  feed.onChanges((changes) => pushSender.onChanges(changes));
  return {
    pushSender,
    pushRules: createPushRules({ storage }),
    pushers: createPushers({ storage, clock }),
    unread,
    notify: createNotify({
      serverName: config.server_name,
      roster,
      ownRules,
      ignorers,
      findThread: ({ roomId, pdu }) => findThread(storage.events, { roomId, content: pdu.content }),
    }),
  };
}
