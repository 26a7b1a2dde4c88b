import type { Accounts } from '../accounts/accounts.ts';
import type { Aliases } from '../directory/aliases.ts';
import type { Hierarchy } from '../directory/hierarchy.ts';
import type { PublicRooms } from '../directory/public-rooms.ts';
import type { RoomSummaries } from '../directory/summary.ts';
import type { KeyBackups } from '../e2ee/key-backups.ts';
import type { ToDevice } from '../e2ee/to-device.ts';
import type { ReadMarkers } from '../ephemeral/read-markers.ts';
import type { Receipts } from '../ephemeral/receipts.ts';
import type { Typing } from '../ephemeral/typing.ts';
import type { FeedOfCommits } from '../feed/change-feed.ts';
import type { Waiters } from '../feed/feed.ts';
import type { RecentUnread } from '../feed/recent-unread.ts';
import type { Media } from '../media/media.ts';
import type { Deactivation } from '../operations/deactivate.ts';
import type { Presence } from '../presence/types.ts';
import type { Pushers } from '../push/pushers.ts';
import type { PushRules } from '../push/rules.ts';
import type { Rooms } from '../rooms/rooms.ts';
import type { MembershipIndex } from '../roster/membership-index.ts';
import type { Storage } from '../storage/contract/storage.ts';
import type { Outgoing } from './outgoing.ts';

/** The parts that are joined here, for the other files of the wiring. */
export interface Parts {
  readonly storage: Storage;
  readonly roster: MembershipIndex;
  readonly feed: FeedOfCommits;
  readonly waiters: Waiters;
  readonly outgoing: Outgoing;
  readonly presence: Presence;
  readonly rooms: Rooms;
  readonly aliases: Aliases;
  readonly publicRooms: PublicRooms;
  readonly hierarchy: Hierarchy;
  readonly summaries: RoomSummaries;
  readonly accounts: Accounts;
  readonly deactivation: Deactivation;
  readonly media: Media;
  readonly pushRules: PushRules;
  readonly pushers: Pushers;
  readonly keyBackups: KeyBackups;
  readonly unread: RecentUnread;
  readonly toDevice: ToDevice;
  readonly typing: Typing;
  readonly receipts: Receipts;
  readonly readMarkers: ReadMarkers;
}
