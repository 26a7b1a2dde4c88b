import type { UserId } from '../../matrix/ids.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import { MembershipIndex } from '../../roster/membership-index.ts';
import type { StorageReading } from '../../storage/contract/storage.ts';
import { createFacts, type Ground } from '../core/facts.ts';
import { RoomSizes } from '../core/room-sizes.ts';
import { RulesOfUsers, readAdministratorConfigs } from '../core/rules.ts';
import type { PresenceSettings } from '../settings.ts';
import { type AudienceReport, reportAudience, viewersPerPageMax } from './report.ts';

/** Who sees a user, from what a server has stored, which may be running. Writes nothing. */
export async function reportFromStorage(
  deps: { storage: StorageReading; serverName: ServerName; settings: PresenceSettings },
  subject: UserId,
): Promise<AudienceReport> {
  const { storage, serverName, settings } = deps;
  const roster = new MembershipIndex({ serverName });
  await roster.load(storage.rooms);
  const rules = new RulesOfUsers(readAdministratorConfigs(settings));
  await rules.load(storage.accountData);
  const sizes = new RoomSizes({ roster, settings });
  sizes.load(await storage.presence.listFacts());
  const ground: Ground = {
    roomsOf: (user) => roster.roomsOf(user),
    counts: (roomId) => sizes.counts(roomId),
    rulesOf: (user) => rules.rulesOf(user),
  };
  const given = { serverName, roster, settings, ground, facts: createFacts(ground) };
  const first = await reportAudience(given, subject, { after: null, limit: viewersPerPageMax });
  const viewers = [...first.viewers];
  for (let { next } = first; next !== null; ) {
    const page = await reportAudience(given, subject, { after: next, limit: viewersPerPageMax });
    viewers.push(...page.viewers);
    next = page.next;
  }
  return { ...first, viewers, next: null };
}
