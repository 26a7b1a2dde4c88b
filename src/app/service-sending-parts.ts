import { ServiceSender } from '../appservices/sending/service-sender.ts';
import type { Typing } from '../ephemeral/typing.ts';
import type { FeedOfCommits } from '../feed/change-feed.ts';
import type { Presence } from '../presence/types.ts';
import { encodeClientEvents } from '../rooms/client-event.ts';
import type { Roster } from '../roster/roster.ts';
import type { Storage } from '../storage/contract/storage.ts';
import type { ServiceParts } from './service-parts.ts';
import type { Surroundings } from './surroundings.ts';

interface SendingNeighbours {
  readonly storage: Storage;
  readonly roster: Roster;
  readonly feed: FeedOfCommits;
  readonly presence: Pick<Presence, 'services'>;
  readonly services: Pick<ServiceParts, 'call'>;
  readonly listTyping: Typing['listTyping'];
}

/** Before all who listen to the feed: they may ask whom services stand for. */
export function createServiceSenderOf(surroundings: Surroundings, neighbours: SendingNeighbours): ServiceSender {
  const { clock, random, log, metrics, services } = surroundings;
  const { storage, roster, feed, presence, listTyping } = neighbours;
  const sender = new ServiceSender({
    services,
    storage,
    roster,
    call: neighbours.services.call,
    listTyping,
    encodeEvents: (events, userId) =>
      encodeClientEvents(
        { storage },
        events,
        { userId, deviceId: null },
        { withRoomId: true, withMembership: false, nowMs: clock.now() },
      ),
    clock,
    random,
    log,
    metrics,
  });
  if (sender.isNeeded) {
    feed.onChanges((changes) => sender.onChanges(changes));
    presence.services.serve(sender.audience);
    sender.addSource(presence.services);
  }
  return sender;
}
