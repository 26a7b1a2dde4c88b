import type { Clock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import { Background } from '../../base/tasks/background.ts';
import type { UserId } from '../../matrix/ids.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import { MembershipIndex } from '../../roster/membership-index.ts';
import type { StorageReading } from '../../storage/contract/storage.ts';
import { Awareness } from '../core/awareness.ts';
import { createFacts, type Ground } from '../core/facts.ts';
import { RoomSizes } from '../core/room-sizes.ts';
import { RulesOfUsers, readAdministratorConfigs } from '../core/rules.ts';
import type { PresenceSettings } from '../settings.ts';
import { type AudienceReport, reportAudience, viewersPerPageMax } from './report.ts';

/** Who sees a user, from what a server has stored, which may be running. Writes nothing. */
export async function reportFromStorage(
  deps: { storage: StorageReading; serverName: ServerName; settings: PresenceSettings; clock: Clock },
  subject: UserId,
): Promise<AudienceReport> {
  const { storage, serverName, settings, clock } = deps;
  const roster = new MembershipIndex({ serverName });
  await roster.load(storage.rooms);
  const rules = new RulesOfUsers(readAdministratorConfigs(settings));
  await rules.load(storage.accountData);
  const sizes = new RoomSizes({ roster, settings });
  sizes.load(await storage.presence.listFacts());
  const awareness = new Awareness({
    storage: { presence: storage.presence, commit: refuse },
    clock,
    background: new Background({ log: silentLog }),
    settings,
    onTurned: refuse,
  });
  await awareness.load();
  const ground: Ground = {
    roomsOf: (user) => roster.roomsOf(user),
    counts: (roomId) => sizes.counts(roomId),
    rulesOf: (user) => rules.rulesOf(user),
  };
  const given = { serverName, roster, awareness, settings, ground, facts: createFacts(ground) };
  const first = await reportAudience(given, subject, { after: null, limit: viewersPerPageMax });
  const viewers = [...first.viewers];
  for (let { next } = first; next !== null; ) {
    const page = await reportAudience(given, subject, { after: next, limit: viewersPerPageMax });
    viewers.push(...page.viewers);
    next = page.next;
  }
  return { ...first, viewers, next: null };
}

async function refuse(): Promise<never> {
  throw new Error('nothing is written here');
}
