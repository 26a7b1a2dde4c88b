import type { Waiters } from '../feed/feed.ts';
import { createPresence } from '../presence/presence.ts';
import type { PresenceSettings } from '../presence/settings.ts';
import type { Presence } from '../presence/types.ts';
import type { Roster } from '../roster/roster.ts';
import type { Storage } from '../storage/contract/storage.ts';
import { rateLimitsOf } from './config/rate-limits.ts';
import type { Config } from './config/shape.ts';
import type { Outgoing } from './outgoing.ts';
import type { Surroundings } from './surroundings.ts';

interface PresenceNeighbours {
  readonly storage: Storage;
  readonly roster: Roster;
  readonly waiters: Waiters;
  readonly outgoing: Outgoing;
}

/** Presence with the settings of the configuration. */
export function createPresenceOf(surroundings: Surroundings, neighbours: PresenceNeighbours): Presence {
  const { config, clock, random, log, metrics } = surroundings;
  const { storage, roster, waiters, outgoing } = neighbours;
  return createPresence({
    serverName: config.server_name,
    storage,
    roster,
    waiters,
    sender: outgoing.sender,
    clock,
    random,
    log,
    metrics,
    settings: presenceSettings(config),
  });
}

/** What the configuration says of presence. */
export function presenceSettings(config: Config): PresenceSettings {
  const { presence, federation } = config;
  const crosses = federation.enabled && !presence.local_only;
  return {
    enabled: presence.enabled,
    inbound: crosses && presence.inbound,
    outbound: crosses && presence.outbound,
    defaultConfig: presence.default_config,
    overrideConfig: presence.override_config,
    excludedRooms: presence.excluded_rooms,
    largestRoom: presence.largest_room,
    unawareServers: presence.unaware_servers,
    currentlyActiveMs: presence.currently_active_ms,
    idleAfterMs: presence.idle_after_ms,
    offlineAfterMs: presence.offline_after_ms,
    restartGraceMs: presence.restart_grace_ms,
    windowMs: presence.federation_window_ms,
    windowMaxMs: presence.federation_window_max_ms,
    keepAliveMinMs: presence.keep_alive_min_ms,
    keepAliveMaxMs: presence.keep_alive_max_ms,
    copyExpiresMs: presence.copy_expires_ms,
    putsPerMinute: rateLimitsOf(config).presence ?? Number.MAX_SAFE_INTEGER,
  };
}
