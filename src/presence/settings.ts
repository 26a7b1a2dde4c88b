import type { RoomId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';

/**
 * What is sent to servers that are not known to honour `allowed_recipients`, and so show an update to every user they have in a
 * shared room: everything; what every such user may see; nothing.
 */
export type UnawareServers = 'send' | 'whole_server_only' | 'withhold';

/** Every time, window and switch of presence. All times are milliseconds. */
export interface PresenceSettings {
  readonly enabled: boolean;
  /** Whether other servers' updates are taken in. */
  readonly inbound: boolean;
  /** Whether updates are sent to other servers. What they hold already is taken back when this is switched off. */
  readonly outbound: boolean;
  /** The administrator's sharing config for users without one; null: the steps run over empty lists. */
  readonly defaultConfig: JsonObject | null;
  /** The administrator's second config, which every viewer must pass too; null: there is none. */
  readonly overrideConfig: JsonObject | null;
  /** Rooms that share nothing, whatever their members' configs say. */
  readonly excludedRooms: readonly RoomId[];
  /** A room with more joined members shares nothing until it is below 80 % of this. Null: no limit. */
  readonly largestRoom: number | null;
  readonly unawareServers: UnawareServers;
  readonly currentlyActiveMs: number;
  readonly idleAfterMs: number;
  readonly offlineAfterMs: number;
  /** How long users who were online at the last stop may take to come back before they are reported offline. */
  readonly restartGraceMs: number;
  /** How long further presence for a destination waits after an update; grows with their number up to the second. */
  readonly windowMs: number;
  readonly windowMaxMs: number;
  readonly keepAliveMinMs: number;
  readonly keepAliveMaxMs: number;
  /** A remote subject who is not offline is taken to be, this long after the last update. */
  readonly copyExpiresMs: number;
  readonly putsPerMinute: number;
}

export const defaultPresenceSettings: PresenceSettings = {
  enabled: true,
  inbound: true,
  outbound: true,
  defaultConfig: null,
  overrideConfig: null,
  excludedRooms: [],
  largestRoom: null,
  unawareServers: 'send',
  currentlyActiveMs: 60_000,
  idleAfterMs: 300_000,
  offlineAfterMs: 30_000,
  restartGraceMs: 45_000,
  windowMs: 1_000,
  windowMaxMs: 30_000,
  keepAliveMinMs: 1_200_000,
  keepAliveMaxMs: 1_500_000,
  copyExpiresMs: 1_800_000,
  putsPerMinute: 60,
};
