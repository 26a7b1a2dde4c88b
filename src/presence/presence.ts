import { breathe } from '../base/breathe.ts';
import type { Timer } from '../base/clock.ts';
import { RateLimit } from '../base/rate-limit.ts';
import { limitExceeded, notFound } from '../matrix/errors.ts';
import type { RoomId, UserId } from '../matrix/ids.ts';
import type { ServerName } from '../matrix/server-name.ts';
import { lossesKeptMs } from './change/loss-rows.ts';
import { createReactions } from './change/reactions.ts';
import { tellOfSettings } from './change/settings-change.ts';
import { listServers } from './core/audience.ts';
import { encodeReport } from './explain/encode.ts';
import { reportAudience } from './explain/report.ts';
import { commitRows, createParts, type Parts, type PresenceDeps } from './parts.ts';
import { DevicePoll } from './reading/device-poll.ts';
import { presenceStatus } from './reading/render.ts';
import { receivePresence } from './receiving/receiver.ts';
import { Untold } from './sending/untold.ts';
import type { Presence } from './types.ts';

/** Each asks the policy about everybody who shares a room. */
const explanationsPerMinute = 30;
const pruneEveryMs = 86_400_000;
/** Servers of a subject between two looks at the clock: what is kept of each grows, by doubling, with the same subject. */
const serversPerLook = 10;
const rowsPerCommit = 500;
/** Users whose PUTs of this minute are counted; the table is made whole at once. */
const putsUsersMax = 10_000;

/** Presence whole. */
export function createPresence(deps: PresenceDeps): Presence {
  const parts = createParts(deps);
  const { tracker, inboxes, dispatcher, rows, background, settings, clock, storage } = parts;
  const explanations = new RateLimit({ clock, points: explanationsPerMinute, windowMs: 60_000 });
  const puts = new RateLimit({ clock, points: settings.putsPerMinute, windowMs: 60_000, keysMax: putsUsersMax });
  /** What must be written was asked for by `rowsForDeactivation`. */
  const userDeactivated = (userId: UserId): void => {
    tracker.remove(userId);
    inboxes.close(userId);
  };
  const deviceGone: Presence['deviceGone'] = (userId, deviceId) => tracker.deviceGone(userId, deviceId);

  return {
    source: parts.servers,
    services: parts.services,
    ...createLife(parts),
    begin: (request) => new DevicePoll(parts, request),
    read: (request) => parts.reader.read(request),
    getPresence: (viewer, subject) => getPresence(parts, viewer, subject),

    async putPresence({ userId, deviceId }, state, statusMsg) {
      const answer = await puts.use(userId);
      if (answer.outcome === 'limited') throw limitExceeded(answer.retryAfterMs);
      if (settings.enabled) await tracker.put(userId, deviceId, { state, statusMsg });
    },

    async explain(userId, page) {
      const answer = await explanations.use(userId);
      if (answer.outcome === 'limited') throw limitExceeded(answer.retryAfterMs);
      return encodeReport(await reportAudience(parts, userId, page));
    },

    activity({ userId, deviceId }) {
      if (settings.enabled) tracker.activity(userId, deviceId);
    },

    deviceGone,
    userDeactivated,
    receive: (origin, contents) => receivePresence(parts.receiver, origin, contents),

    onChanges: createReactions({
      ...parts,
      deviceGone,
      userDeactivated,
      store: (repaired) => void background.run('store what follows from a commit', () => commitRows(storage, repaired)),
    }),

    async checkAccountData(userId, roomId, type, content) {
      await dispatcher.room();
      return rows.forAccountData(userId, roomId, { type, content });
    },

    async rowsForDeactivation(userId) {
      await dispatcher.room();
      return rows.forDeactivation(userId);
    },

    async rowsForAudienceChange(steps) {
      await dispatcher.room();
      return rows.forMembership(steps);
    },
  };
}

async function getPresence({ sights, roster }: Parts, viewer: UserId, subject: UserId) {
  const sight = sights.findForGet(subject, viewer);
  if (sight !== 'denied') return presenceStatus(sight);
  // "Unknown, denied or simply a stranger, all the same."
  if (viewer !== subject && !roster.shareRoom(viewer, subject)) throw notFound('There is no presence of this user');
  return presenceStatus(undefined);
}

/** Start, rest and end. */
function createLife(parts: Parts): Pick<Presence, 'start' | 'stop' | 'idle'> {
  const { storage, clock, hour, background, dispatcher, servers, inboxes, tracker, remote, awareness } = parts;
  let pruneTimer: Timer | undefined;

  async function prune(): Promise<void> {
    await storage.commit({ rows: [{ kind: 'presence_losses_pruned', beforeMs: hour.now() - lossesKeptMs }] });
    pruneTimer = clock.setTimer(pruneEveryMs, () => void background.run('prune losses', prune));
  }

  return {
    async start() {
      const stored = await storage.presence.listFacts();
      parts.sizes.load(stored);
      await parts.rules.load(storage.accountData);
      await remote.load();
      await tracker.load();
      await awareness.load();
      for (const narrowing of await storage.presence.listNarrowings()) servers.narrow(narrowing, parts.past.next);
      await tellOfSettings(parts, stored);
      await learnSizes(parts);
      await awareness.start();
      for (const subject of tracker.subjects()) {
        await takeUp(parts, subject);
      }
      for (const subject of Untold.read(stored)) servers.tellAgain(subject);
      servers.start();
      await prune();
    },

    async stop() {
      pruneTimer?.clear();
      await dispatcher.idle();
      await servers.stop();
      awareness.stop();
      inboxes.stop();
      await background.stop();
      await tracker.stop();
      await remote.stop();
    },

    async idle() {
      await dispatcher.idle();
      await background.idle();
    },
  };
}

/** Rooms of which it is not stored that they are too large: the limit is new, or a crash came before it was. */
async function learnSizes({ roster, sizes, serverName, storage }: Parts): Promise<void> {
  const crossed: RoomId[] = [];
  let count = 0;
  for (const roomId of [...roster.roomsOfServer(serverName)]) {
    count += 1;
    if (count % 100 === 0) await breathe();
    if (sizes.update(roomId)) crossed.push(roomId);
  }
  for (let start = 0; start < crossed.length; start += rowsPerCommit) {
    const some = crossed.slice(start, start + rowsPerCommit);
    await commitRows(
      storage,
      some.map((roomId) => sizes.factOf(roomId)),
    );
  }
}

/** Marks live in memory: what an earlier process had yet to send is sent again, what it sent is renewed in time. */
async function takeUp(parts: Parts, subject: UserId): Promise<void> {
  const all = [...listServers(subject, parts.roster, parts.facts)];
  for (let start = 0; start < all.length; start += serversPerLook) {
    takeUpAt(parts, subject, all.slice(start, start + serversPerLook));
    await breathe();
  }
}

function takeUpAt(
  { tracker, servers, settings, clock }: Parts,
  subject: UserId,
  destinations: readonly ServerName[],
): void {
  const presence = tracker.find(subject);
  if (!presence || !tracker.mayBeHeld(presence, settings.copyExpiresMs)) return;
  const isOffline = presence.shown.state === 'offline';
  // A status of long ago has arrived or will be sent with the next change.
  if (isOffline && clock.monotonic() - presence.changedAt >= settings.copyExpiresMs) return;
  for (const server of destinations) {
    if (isOffline) servers.mark(server, subject, { urgent: false, resend: true });
    else servers.assumeHeld(server, subject);
  }
}
