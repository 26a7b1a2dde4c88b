import { createUserDirectory } from '../directory/user-directory.ts';
import { accountRoutes } from '../http/client/account/account.ts';
import { accountDataRoutes } from '../http/client/account/account-data.ts';
import { administrationRoutes } from '../http/client/account/administration.ts';
import { deviceRoutes } from '../http/client/account/devices.ts';
import { loginRoutes } from '../http/client/account/login.ts';
import { openIdRoutes } from '../http/client/account/openid.ts';
import { profileRoutes } from '../http/client/account/profile.ts';
import { refreshRoutes } from '../http/client/account/refresh.ts';
import { registerRoutes } from '../http/client/account/register.ts';
import { tagRoutes } from '../http/client/account/tags.ts';
import { thirdPartyIdRoutes } from '../http/client/account/third-party-ids.ts';
import { appServiceRoutes } from '../http/client/app-services.ts';
import { capabilitiesRoutes } from '../http/client/capabilities.ts';
import { directoryRoutes } from '../http/client/directory/aliases.ts';
import { publicRoomsRoutes } from '../http/client/directory/public-rooms.ts';
import { thirdPartyNetworkRoutes } from '../http/client/directory/third-party-networks.ts';
import { userDirectoryRoutes } from '../http/client/directory/user-directory.ts';
import { keyBackupRoutes } from '../http/client/encryption/key-backups.ts';
import { keyRoutes } from '../http/client/encryption/keys.ts';
import { signingKeyRoutes } from '../http/client/encryption/signing.ts';
import { toDeviceRoutes } from '../http/client/encryption/to-device.ts';
import { filterRoutes } from '../http/client/filters.ts';
import { mediaAdministrationRoutes } from '../http/client/media/administration.ts';
import { mediaRoutes, unauthenticatedMediaRoutes } from '../http/client/media/media.ts';
import { mediaUploadRoutes } from '../http/client/media/upload.ts';
import { presenceRoutes } from '../http/client/presence.ts';
import { presenceAudienceRoutes } from '../http/client/presence-audience.ts';
import { pushRuleRoutes } from '../http/client/push/push-rules.ts';
import { pusherRoutes } from '../http/client/push/pushers.ts';
import { roomCreationRoutes } from '../http/client/rooms/create.ts';
import { roomMembershipRoutes } from '../http/client/rooms/membership.ts';
import { roomMessagesRoutes } from '../http/client/rooms/messages.ts';
import { receiptRoutes } from '../http/client/rooms/receipts.ts';
import { relationRoutes } from '../http/client/rooms/relations.ts';
import { reportRoutes } from '../http/client/rooms/reports.ts';
import { roomSendRoutes } from '../http/client/rooms/send.ts';
import { spaceRoutes } from '../http/client/rooms/spaces.ts';
import { roomStateRoutes } from '../http/client/rooms/state.ts';
import { typingRoutes } from '../http/client/rooms/typing.ts';
import { searchRoutes } from '../http/client/search.ts';
import { syncRoutes } from '../http/client/sync.ts';
import { versionsRoutes } from '../http/client/versions.ts';
import { voipRoutes } from '../http/client/voip.ts';
import { wellKnownClientRoutes } from '../http/client/well-known.ts';
import type { Route } from '../http/route.ts';
import { supportedRoomVersions } from '../matrix/room-versions.ts';
import type { KeyChanges } from '../sync/key-changes.ts';
import { createNotificationList } from '../sync/notifications.ts';
import type { Sync } from '../sync/sync.ts';
import type { Surroundings } from './surroundings.ts';
import type { Parts } from './wiring-parts.ts';

interface Reading {
  readonly sync: Sync;
  readonly keyChanges: KeyChanges;
}

/** Every route of the client-server API. */
export function clientRoutes({ config, clock, services }: Surroundings, parts: Parts, reading: Reading): Route[] {
  const {
    accounts,
    deactivation,
    reporting,
    pushRules,
    pushers,
    rooms,
    aliases,
    publicRooms,
    typing,
    receipts,
    readMarkers,
    presence,
  } = parts;
  const { creating, upgrading, sending, membership, state, history, relations, moments, search } = rooms;
  const baseUrl = config.public_base_url;
  const available = Object.fromEntries(supportedRoomVersions.map((version) => [version, 'stable' as const]));
  return [
    ...versionsRoutes(),
    ...wellKnownClientRoutes({ baseUrl }),
    ...capabilitiesRoutes({ listRoomVersions: () => ({ default: config.rooms.default_version, available }) }),
    ...registerRoutes({ accounts, services: parts.services.acting }),
    ...loginRoutes({ accounts, services: parts.services.acting, hasServices: services.all.length > 0, baseUrl }),
    ...refreshRoutes({ accounts }),
    ...accountRoutes({ accounts, deactivation }),
    ...administrationRoutes({ accounts, reporting, serverNotices: parts.serverNotices }),
    ...reportRoutes({ reporting }),
    ...thirdPartyIdRoutes(),
    ...openIdRoutes({ accounts, serverName: config.server_name }),
    ...deviceRoutes({ accounts }),
    ...profileRoutes({ accounts }),
    ...accountDataRoutes({ accounts }),
    ...tagRoutes({ accounts }),
    ...pushRuleRoutes({ pushRules }),
    ...pusherRoutes({
      pushers,
      listNotifications: createNotificationList({ storage: parts.storage, roster: parts.roster, clock }),
    }),
    ...filterRoutes({ accounts }),
    ...roomCreationRoutes({ rooms: creating, upgrading }),
    ...roomMembershipRoutes({ membership, state, aliases }),
    ...roomSendRoutes({ rooms: sending }),
    ...roomStateRoutes({ rooms: sending, state }),
    ...roomMessagesRoutes({ history, moments }),
    ...relationRoutes({ relations }),
    ...searchRoutes({ search }),
    ...directoryRoutes({ aliases, state }),
    ...publicRoomsRoutes({ publicRooms, serverName: config.server_name }),
    ...spaceRoutes({ hierarchy: parts.hierarchy, summaries: parts.summaries, aliases }),
    ...userDirectoryRoutes({ users: createUserDirectory({ storage: parts.storage, serverName: config.server_name }) }),
    ...keyBackupRoutes({ keyBackups: parts.keyBackups }),
    ...keyRoutes({ keys: parts.keys, keyChanges: reading.keyChanges }),
    ...signingKeyRoutes({ keys: parts.keys, accounts }),
    ...toDeviceRoutes({ toDevice: parts.toDevice }),
    ...typingRoutes({ typing }),
    ...receiptRoutes({ receipts, readMarkers }),
    ...presenceRoutes({ presence }),
    ...presenceAudienceRoutes({ presence }),
    ...syncRoutes({ sync: reading.sync }),
    ...mediaRoutes(parts),
    ...mediaAdministrationRoutes(parts),
    ...unauthenticatedMediaRoutes({ media: parts.media, open: config.media.unauthenticated }),
    ...mediaUploadRoutes({ media: parts.media, clock }),
    ...voipRoutes(),
    ...thirdPartyNetworkRoutes(),
    ...appServiceRoutes({ ping: parts.services.ping, publicRooms }),
  ];
}
