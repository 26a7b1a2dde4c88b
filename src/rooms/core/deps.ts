import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { SignObject } from '../../engine/event/build.ts';
import type { WantedKey } from '../../federation-out/notaries.ts';
import type { FederationRequests } from '../../federation-out/requests-contract.ts';
import type { SignatureVerdict } from '../../federation-out/signature-checks.ts';
import type { RoomAlias, RoomId, UserId } from '../../matrix/ids.ts';
import type { JsonObject, RoomEvent, StateKey } from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Roster } from '../../roster/roster.ts';
import type { Position, Row } from '../../storage/contract/commit.ts';
import type { MembershipStep } from '../../storage/contract/presence.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import type { RoomLock } from './room-lock.ts';

export interface SignaturesToCheck {
  readonly object: JsonObject;
  /** The bytes that its signatures cover, where they are at hand: `signedBytes(object)`. */
  readonly message?: Uint8Array;
  readonly servers: readonly ServerName[];
  /** The keys must have been valid then, Unix milliseconds. */
  readonly validAtMs: number;
}

/** By index. With `ask` keys that are not at hand are asked for; without, nobody is waited for. */
export type CheckSignatures = (
  checks: readonly SignaturesToCheck[],
  options: { readonly ask: boolean },
) => Promise<SignatureVerdict[]>;

export interface Profile {
  readonly displayname: string | null;
  readonly avatarUrl: string | null;
}

/** An event that is about to join the timeline of a room, or an invite to a room that we are not in. */
export interface NewsOfRoom {
  readonly event: RoomEvent;
  readonly version: RoomVersion;
  /** What holds at these places of the room's state, at the event; nothing where that is not known. */
  readonly readState: (keys: readonly StateKey[]) => Promise<ReadonlyMap<StateKey, RoomEvent>>;
}

/** What the neighbours of rooms are asked; `app/wiring.ts` fits them. */
export interface RoomsPorts {
  /** A local user's profile, for member events. */
  readonly findProfile: (userId: UserId) => Promise<Profile | undefined>;
  /** Asks whoever makes users when they are looked for; true when this one of ours is there now. Nobody when not given. */
  readonly askForUser?: (userId: UserId) => Promise<boolean>;
  /** Whether an alias of this server may be made; `serviceId` of the application service that acts. Any may when not given. */
  readonly mayMakeAlias?: (alias: RoomAlias, serviceId: string | undefined) => boolean;
  /** Rows that must be durable together with these changes of membership. */
  readonly rowsForAudienceChange: (steps: readonly MembershipStep[]) => Promise<readonly Row[]>;
  /**
   * What an event means to our users by their push rules, and how far its sender has read by sending it. Only of accepted events that are
   * new: what is fetched from the past, or refused, notifies nobody.
   */
  readonly rowsForNotifications: (news: NewsOfRoom) => Promise<readonly Row[]>;
  /** The room an alias leads to, ours or another server's; undefined when it leads nowhere. */
  readonly resolveAlias: (
    alias: RoomAlias,
  ) => Promise<{ readonly roomId: RoomId; readonly servers: readonly ServerName[] } | undefined>;
  /** The durable position a sync token stands for; undefined for anything else. */
  readonly positionOfSyncToken: (token: string) => Position | undefined;
}

/** What the parts of rooms share; each takes the members it needs. */
export interface RoomsCore {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  readonly serverName: ServerName;
  /** Adds this server's signature. */
  readonly sign: SignObject;
  /** Who speaks for this server: nobody rejects their invite, and nobody invites them. */
  readonly noticesSender: UserId;
  readonly roster: Roster;
  readonly requests: FederationRequests;
  /** Tries now what waits to be sent to a server; resolves when it has it or could not be reached. */
  readonly flushOutgoing: (server: ServerName) => Promise<void>;
  readonly checkSignatures: CheckSignatures;
  /** Asks for keys that are not at hand, all of them side by side. */
  readonly learnKeys: (wanted: ReadonlyMap<ServerName, readonly WantedKey[]>) => Promise<void>;
  readonly lock: RoomLock;
  readonly ports: RoomsPorts;
}
