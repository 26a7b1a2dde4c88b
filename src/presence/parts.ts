import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { type Metrics, noMetrics } from '../base/metrics.ts';
import type { Random } from '../base/random.ts';
import { Background } from '../base/tasks/background.ts';
import type { Sender } from '../federation-out/sender-contract.ts';
import type { Waiters } from '../feed/feed.ts';
import { isRoomId, type RoomId, serverOfUser, type UserId } from '../matrix/ids.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { Roster } from '../roster/roster.ts';
import type { Row } from '../storage/contract/commit.ts';
import type { Storage } from '../storage/contract/storage.ts';
import { AudienceRows } from './change/audience-rows.ts';
import { tellOfAwareness } from './change/awareness-change.ts';
import { Dispatcher } from './change/dispatcher.ts';
import { NarrowingRows } from './change/narrowing-rows.ts';
import { Awareness } from './core/awareness.ts';
import type { Copy } from './core/copies.ts';
import { createFacts, type Ground } from './core/facts.ts';
import { Hour } from './core/hour.ts';
import { createPresenceMetrics, registerPresenceGauges } from './core/metrics.ts';
import { Past } from './core/past.ts';
import { RoomSizes } from './core/room-sizes.ts';
import { RulesOfUsers, readAdministratorConfigs } from './core/rules.ts';
import type { Shown } from './core/shown.ts';
import { Tracker } from './own/tracker.ts';
import { Inboxes } from './reading/inbox.ts';
import { Reader } from './reading/reader.ts';
import { bareOfflineText, presenceEventText } from './reading/render.ts';
import { Sights } from './reading/sight.ts';
import { PresenceTokens } from './reading/token.ts';
import { CopyStore } from './receiving/copy-store.ts';
import type { ReceiverDeps } from './receiving/receiver.ts';
import { Servers } from './sending/servers.ts';
import { Services } from './sending/services.ts';
import { defaultPresenceSettings, type PresenceSettings } from './settings.ts';

/** Rows of one commit; with more it would keep the loop. */
const lossesPerCommit = 500;

export interface PresenceDeps {
  serverName: ServerName;
  storage: Pick<Storage, 'presence' | 'accountData' | 'state' | 'commit'>;
  roster: Roster;
  waiters: Pick<Waiters, 'wake'>;
  sender: Pick<Sender, 'poke'>;
  clock: Clock;
  random: Random;
  log: Log;
  /** Nothing is counted without. */
  metrics?: Metrics;
  settings?: Partial<PresenceSettings>;
}

export type Parts = ReturnType<typeof createParts>;

/** The pieces of presence, each given what it asks of the others. */
export function createParts(deps: PresenceDeps) {
  const common = createCommon(deps);
  const { background } = common;
  const tracker = new Tracker({
    ...common,
    onChange: (userId, before) => dispatcher.tell(userId, howToTell(before, tracker.find(userId)?.shown)),
    rowsOfPut: (userId) => servers.rowsOfPut(userId),
  });
  const remote = new CopyStore({
    ...common,
    isOpen: common.settings.enabled && common.settings.inbound,
    isNear: (subject) => common.roster.roomsOf(subject).size > 0 || common.rules.namedBy(subject).size > 0,
    onExpired(subject, before) {
      const { moment } = dispatcher;
      background.run('tell of expired presence', () => dispatcher.tellReceived(new Map([[subject, before]]), moment));
    },
  });
  const inboxes = new Inboxes(common);
  const awareness = new Awareness({
    ...common,
    onTurned: (server, turned) => tellOfAwareness({ ...subjects, servers, narrowings }, server, turned),
  });
  const stanceTowards = (server: ServerName) => awareness.stanceTowards(server);
  const subjects = { ...common, tracker, remote, inboxes, awareness, stanceTowards };
  const servers = new Servers(subjects);
  const services = new Services({
    ...subjects,
    findSight(subject, viewer) {
      const sight = sights.find(subject, viewer);
      return sight === 'denied' ? undefined : { shown: sight.shown, text: presenceEventText(subject, sight) };
    },
    bareOffline: bareOfflineText,
  });
  const { copyExpiresMs } = common.settings;
  const narrowings = new NarrowingRows({ ...subjects, servers, copyExpiresMs });
  const rows = new AudienceRows({
    ...subjects,
    narrowings,
    findPredecessor: (roomId) => findPredecessor(deps.storage, roomId),
  });
  const dispatcher = new Dispatcher({
    ...subjects,
    servers,
    services,
    copyExpiresMs,
    async narrow(destination, subject) {
      const held = narrowings.findHeld(destination, subject);
      if (held) await commitRows(deps.storage, [narrowings.rowOf(destination, subject, held)]);
    },
    async lose(userId, others, compared) {
      const missed = await rows.forMissedLosses(userId, others, compared);
      // Each stands for itself, and of a large room there are many.
      for (let start = 0; start < missed.length; start += lossesPerCommit) {
        await commitRows(deps.storage, missed.slice(start, start + lossesPerCommit));
      }
    },
  });
  const sights = new Sights(subjects);
  const tokens = new PresenceTokens(common);
  const reader = new Reader({ ...subjects, sights, tokens, lagMs: () => dispatcher.lagMs });
  const receiver: ReceiverDeps = {
    ...subjects,
    beginReceiving() {
      const { moment } = dispatcher;
      return (before: ReadonlyMap<UserId, readonly Copy[]>) => dispatcher.tellReceived(before, moment);
    },
    onAware: (origin) => awareness.saw(origin),
    onDropped: (origin, entries) => deps.log.info({ origin, entries }, 'entries of a presence update were refused'),
  };
  registerPresenceGauges(deps.metrics ?? noMetrics, {
    usersByState: () => tracker.countByState(),
    connectedViewers: () => inboxes.size,
    remoteSubjects: () => remote.size,
    marksWaiting: () => servers.marksWaiting,
    narrowingsWaiting: () => servers.narrowingsWaiting,
  });
  return { ...subjects, servers, services, narrowings, rows, dispatcher, sights, reader, receiver };
}

/** What everything else stands on: settings, and the facts that the policy is asked with. */
function createCommon(deps: PresenceDeps) {
  const { clock, random, log, roster, storage, serverName, sender, waiters } = deps;
  const settings: PresenceSettings = { ...defaultPresenceSettings, ...deps.settings };
  const rules = new RulesOfUsers(readAdministratorConfigs(settings));
  const sizes = new RoomSizes({ roster, settings });
  const ground: Ground = {
    roomsOf: (user) => roster.roomsOf(user),
    counts: (roomId) => sizes.counts(roomId),
    rulesOf: (user) => rules.rulesOf(user),
  };
  return {
    serverName,
    storage,
    roster,
    waiters,
    sender,
    clock,
    hour: new Hour(clock),
    random,
    settings,
    rules,
    sizes,
    ground,
    facts: createFacts(ground),
    past: new Past(),
    metrics: createPresenceMetrics(deps.metrics ?? noMetrics),
    background: new Background({ log }),
    now: () => clock.monotonic(),
    isLocal: (userId: UserId): boolean => serverOfUser(userId) === serverName,
  };
}

function howToTell(before: Shown, after: Shown | undefined) {
  return {
    // Online after offline is worth hurrying for.
    urgent: before.state === 'offline' && after?.state === 'online',
    lasting: before.statusMsg !== null || (after !== undefined && after.statusMsg !== null),
  };
}

/** Writes rows that nothing can be in conflict with. */
export async function commitRows(storage: Pick<Storage, 'commit'>, rows: readonly Row[]): Promise<void> {
  const result = await storage.commit({ rows });
  assert(result.outcome === 'committed', 'presence expects nothing');
}

async function findPredecessor(storage: Pick<Storage, 'state'>, roomId: RoomId): Promise<RoomId | undefined> {
  const create = await storage.state.findCurrent(roomId, 'm.room.create', '');
  const predecessor: unknown = create?.event.pdu.content.predecessor;
  if (typeof predecessor !== 'object' || predecessor === null || !('room_id' in predecessor)) return undefined;
  return isRoomId(predecessor.room_id) ? predecessor.room_id : undefined;
}
