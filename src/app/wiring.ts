import type { Registration } from '../appservices/registration.ts';
import type { ServiceSender } from '../appservices/sending/service-sender.ts';
import { createLoopShare } from '../base/loop-share.ts';
import { createKeyBackups } from '../e2ee/key-backups.ts';
import { createKeyCounts } from '../e2ee/key-counts.ts';
import { createKeys } from '../e2ee/keys.ts';
import { createToDevice } from '../e2ee/to-device.ts';
import { createToDeviceInbox } from '../e2ee/to-device-inbox.ts';
import { createReadMarkers } from '../ephemeral/read-markers.ts';
import { ReceiptMarks } from '../ephemeral/receipt-marks.ts';
import { createReceipts } from '../ephemeral/receipts.ts';
import { createTyping, type Typing } from '../ephemeral/typing.ts';
import { createFeed } from '../feed/change-feed.ts';
import type { Reaction } from '../feed/feed.ts';
import { createRecentReads } from '../feed/recent-reads.ts';
import { createWaiters } from '../feed/waiters.ts';
import type { HttpAppDeps } from '../http/app.ts';
import { createRateLimits } from '../http/rate-limits.ts';
import type { ServerName } from '../matrix/server-name.ts';
import { createDeactivation } from '../operations/deactivate.ts';
import { createReporting } from '../operations/reporting.ts';
import { createRoomUpgradeReaction } from '../operations/room-upgrades.ts';
import { createServerNotices, type ServerNotices } from '../operations/server-notices.ts';
import type { Presence } from '../presence/types.ts';
import { MembershipIndex } from '../roster/membership-index.ts';
import type { Roster } from '../roster/roster.ts';
import type { Change } from '../storage/contract/changes.ts';
import type { Storage } from '../storage/contract/storage.ts';
import { AnswerWindows, type WindowLengths } from '../sync/answer-windows.ts';
import { createKeyChanges } from '../sync/key-changes.ts';
import { createSync } from '../sync/sync.ts';
import { createSyncWakes } from '../sync/wakes.ts';
import { createAccountsOf } from './account-parts.ts';
import { clientRoutes } from './client-routes.ts';
import { rateLimitsOf } from './config/rate-limits.ts';
import { createIncoming } from './incoming.ts';
import { idleParts, startParts, stopParts } from './lifetime.ts';
import { createMediaOf } from './media-parts.ts';
import { noticesSender } from './notices-sender.ts';
import { createOutgoing, type Outgoing } from './outgoing.ts';
import { createPresenceOf } from './presence-parts.ts';
import { createPushParts } from './push-parts.ts';
import { createRoomParts } from './room-parts.ts';
import { createServiceParts } from './service-parts.ts';
import { createServiceSenderOf } from './service-sending-parts.ts';
import type { Surroundings } from './surroundings.ts';
import type { Parts } from './wiring-parts.ts';

/** A whole server without its listeners. */
export interface Lantern {
  /** For each listener's application. */
  readonly http: Omit<HttpAppDeps, 'listener'>;
  readonly storage: Storage;
  readonly roster: Roster;
  readonly presence: Presence;
  readonly outgoing: Outgoing;
  readonly serviceSender: ServiceSender;
  /** Loads what lives in memory and takes up what was waiting. Before the listeners open. */
  start(): Promise<void>;
  /** Ends the long-polls, so that stopping does not wait for them. */
  endWaits(): void;
  /** Resolves when nothing that needs no further time is left to do; for tests. */
  idle(): Promise<void>;
  /** Writes down what is in memory. Storage is stopped by whoever opened it. */
  stop(): Promise<void>;
}

/** Joins everything: the one place that shows who asks whom and who listens to what. */
export async function createLantern(surroundings: Surroundings, storage: Storage): Promise<Lantern> {
  const parts = await createParts(surroundings, storage);
  const { roster, feed, waiters, outgoing, presence, typing, accounts } = parts;
  const windows = new AnswerWindows({
    clock: surroundings.clock,
    lengths: windowLengths(surroundings.config),
    loopShare: createLoopShare(),
  });
  const recent = createRecentReads(storage);
  // Before all that wakes a reader.
  feed.onChanges((changes) => recent.apply(changes));
  const toDevice = createToDeviceInbox({ storage });
  feed.onChanges((changes) => toDevice.onChanges(changes));
  const keyCounts = createKeyCounts({ storage });
  feed.onChanges((changes) => keyCounts.onChanges(changes));
  listen(parts);
  feed.addReaction(parts.rooms.profileReaction);
  feed.addReaction(createUpgradeReactionOf(surroundings, parts));
  for (const reaction of parts.keys.reactions) feed.addReaction(reaction);
  outgoing.sender.addSource(typing.source);
  outgoing.sender.addSource(presence.source);
  const sync = createSync({
    storage: recent.storage,
    recent: recent.now,
    windows,
    roster,
    waiters,
    typing,
    presence,
    toDevice,
    unread: parts.unread,
    keyCounts,
    clock: surroundings.clock,
  });
  const keyChanges = createKeyChanges({ storage: recent.storage, roster, now: () => surroundings.clock.now() });
  const incoming = createIncoming(surroundings, parts);
  const { clock, random, log } = surroundings;
  return {
    storage,
    roster,
    presence,
    outgoing,
    serviceSender: parts.serviceSender,
    http: {
      routes: [...clientRoutes(surroundings, parts, { sync, keyChanges }), ...incoming.routes],
      authenticate: (token) => accounts.authenticate(token),
      services: { ...parts.services.acting, findByToken: (token) => findService(parts, token) },
      signOuts: accounts.signOuts,
      verifyServer: incoming.verifyServer,
      rateLimits: createRateLimits({ clock, perMinute: rateLimitsOf(surroundings.config) }),
      onActivity: (requester) => presence.activity(requester),
      onSeen: ({ userId, deviceId }, ip) => accounts.devices.touch(userId, deviceId, ip),
      clock,
      random,
      log,
    },
    start: () => startParts(surroundings, parts),
    endWaits: () => waiters.stop(),
    idle: () => idleParts(parts),
    stop: () => stopParts(surroundings, parts),
  };
}

async function createParts(surroundings: Surroundings, storage: Storage): Promise<Parts> {
  const { config, clock, random, log } = surroundings;
  const serverName = config.server_name;
  const roster = new MembershipIndex({ serverName });
  await roster.load(storage.rooms);
  const feed = createFeed({ storage, clock, log });
  const waiters = createWaiters({ clock });
  const outgoing = createOutgoing(surroundings, storage);
  const services = createServiceParts(surroundings, storage);
  const presence = createPresenceOf(surroundings, { storage, roster, waiters, outgoing });
  const serviceSender = createServiceSenderOf(surroundings, {
    ...{ storage, roster, feed, presence, services },
    listTyping: (roomId) => typing.listTyping(roomId),
  });
  const push = await createPushParts(surroundings, { storage, roster, feed, outgoing });
  const roomParts = createRoomParts(surroundings, {
    storage,
    roster,
    outgoing,
    services,
    presence,
    notify: push.notify,
  });
  const { rooms } = roomParts;
  const accounts = createAccountsOf(surroundings, { storage, feed, outgoing, services, presence });
  const { membership } = rooms;
  const deactivation = createDeactivation({ storage, credentials: accounts.credentials, membership, log });
  const poke = (destination: ServerName) => outgoing.sender.poke(destination);
  const typing: Typing = createTyping({
    serverName,
    roster,
    poke,
    onChange: (roomId) => {
      for (const userId of roster.connectedUsersIn(roomId)) waiters.wake(userId);
      serviceSender.typingChanged(roomId);
    },
    clock,
    random,
  });
  const receiptMarks = new ReceiptMarks({ roster });
  outgoing.sender.addSource(receiptMarks);
  const receipts = createReceipts({ serverName, storage, roster, clock, marks: receiptMarks, poke });
  const readMarkers = createReadMarkers({ storage, roster, receipts });
  return {
    storage,
    roster,
    feed,
    waiters,
    outgoing,
    services,
    serviceSender,
    presence,
    ...roomParts,
    accounts,
    deactivation,
    media: createMediaOf(surroundings, { storage, outgoing }),
    serverNotices: createServerNoticesOf(surroundings, { storage, roster, accounts, rooms }),
    reporting: createReporting({ storage, history: rooms.history, serverName, clock, log }),
    ...push,
    keys: createKeys({
      serverName,
      storage,
      roster,
      requests: outgoing.requests,
      shareDeviceNames: config.federation.share_device_names,
      clock,
      random,
      log,
    }),
    keyBackups: createKeyBackups({ storage }),
    toDevice: createToDevice({ storage, serverName, clock, random, log }),
    typing,
    receipts,
    readMarkers,
  };
}

/** After a commit: the roster first, so that nobody is addressed by facts older than the last acknowledged write. */
function listen({ storage, roster, feed, waiters, presence, typing, rooms, outgoing }: Parts): void {
  feed.onChanges((changes) => presence.onChanges(changes));
  feed.onChanges((changes) => typing.onChanges(changes));
  feed.onChanges(createSyncWakes({ roster, waiters }));
  feed.onChanges((changes) => pokeDestinations(outgoing, changes));
  feed.onChanges((changes) => rooms.onChanges(changes));
  storage.onCommit((changes) => {
    roster.apply(changes);
    feed.handle(changes);
  });
}

function pokeDestinations({ sender }: Outgoing, changes: readonly Change[]): void {
  for (const change of changes)
    if (change.kind === 'outgoing') for (const destination of change.destinations) sender.poke(destination);
}

/** The service of a token, which so is there: whatever was kept back from it is sent. */
function findService({ services, serviceSender }: Parts, asToken: string): Registration | undefined {
  const service = services.acting.findByToken(asToken);
  if (service) serviceSender.serviceIsBack(service.id);
  return service;
}

function windowLengths({ sync }: Surroundings['config']): WindowLengths {
  return { quietMs: sync.window_ms, busyMs: Math.max(sync.window_ms, sync.window_ms === 0 ? 0 : sync.window_busy_ms) };
}

function createServerNoticesOf(
  { config }: Surroundings,
  { rooms, ...parts }: Pick<Parts, 'storage' | 'roster' | 'accounts' | 'rooms'>,
): ServerNotices {
  const { creating, sending, membership } = rooms;
  const {
    display_name: displayName,
    avatar_url: avatarUrl,
    room_name: roomName,
    auto_join: autoJoin,
  } = config.server_notices;
  const sender = noticesSender(config);
  const { server_name: serverName } = config;
  return createServerNotices({
    ...parts,
    creating,
    sending,
    membership,
    serverName,
    sender,
    displayName,
    avatarUrl,
    roomName,
    autoJoin,
  });
}

function createUpgradeReactionOf({ config, log }: Surroundings, parts: Parts): Reaction {
  const { storage, roster, accounts, pushRules } = parts;
  const { accountData } = accounts;
  return createRoomUpgradeReaction({ storage, roster, accountData, pushRules, serverName: config.server_name, log });
}
