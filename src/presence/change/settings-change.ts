import { breathe } from '../../base/breathe.ts';
import type { RoomId, UserId } from '../../matrix/ids.ts';
import type { Roster } from '../../roster/roster.ts';
import type { Row } from '../../storage/contract/commit.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import { compareOnServer, listServers, type Moment, momentOf } from '../core/audience.ts';
import type { Awareness } from '../core/awareness.ts';
import type { Ground } from '../core/facts.ts';
import { RoomSizes } from '../core/room-sizes.ts';
import { type RulesOfUsers, readAdministratorConfigs } from '../core/rules.ts';
import { isBlank } from '../core/shown.ts';
import type { LocalSubjects } from '../core/subjects.ts';
import { defaultPresenceSettings, type PresenceSettings } from '../settings.ts';
import type { ServerMarks } from './addressees.ts';
import type { NarrowingRows } from './narrowing-rows.ts';

const factName = 'settings';
const rowsPerCommit = 500;

/** The settings that decide who sees whom. */
type AudienceSettings = Pick<
  PresenceSettings,
  'enabled' | 'outbound' | 'excludedRooms' | 'largestRoom' | 'defaultConfig' | 'overrideConfig' | 'unawareServers'
>;

export interface SettingsChangeDeps {
  settings: PresenceSettings;
  tracker: Pick<LocalSubjects, 'find' | 'subjects'>;
  roster: Roster;
  ground: Ground;
  awareness: Pick<Awareness, 'isAware' | 'stanceTowards'>;
  rules: Pick<RulesOfUsers, 'under'>;
  narrowings: Pick<NarrowingRows, 'findHeld' | 'rowOf'>;
  servers: Pick<ServerMarks, 'mark'>;
  storage: Pick<Storage, 'commit'>;
}

type StoredFacts = readonly { readonly name: string; readonly value: string }[];

/**
 * "A changed presence setting, also one that takes effect by a restart, is a change of audience": other servers hold what the
 * former settings let them have, and lack what the new ones do. Our own users come with tokens from before the restart, which
 * is answer enough. To be called when everything is loaded.
 */
export async function tellOfSettings(deps: SettingsChangeDeps, facts: StoredFacts): Promise<void> {
  const stored = facts.find(({ name }) => name === factName)?.value;
  const value = JSON.stringify(relevant(deps.settings));
  if (stored === value) return;
  const former = stored === undefined ? undefined : parse(stored);
  if (former) await compare(deps, former, facts);
  await deps.storage.commit({ rows: [{ kind: 'presence_fact', name: factName, value }] });
}

async function compare(deps: SettingsChangeDeps, former: AudienceSettings, facts: StoredFacts): Promise<void> {
  const { roster, tracker } = deps;
  const moments = {
    before: momentBefore(deps, former, facts),
    after: momentOf(deps.ground, (server) => deps.awareness.stanceTowards(server)),
  };
  const wasOpen = former.enabled && former.outbound;
  const isOpen = deps.settings.enabled && deps.settings.outbound;
  let rows: Row[] = [];
  for (const subject of [...tracker.subjects()]) {
    await breathe();
    for (const server of listBoth(roster, subject, moments)) {
      const compared = await compareOnServer(roster, { subject, server }, moments);
      const lost = wasOpen && (!isOpen || compared.lost);
      const held = lost ? deps.narrowings.findHeld(server, subject) : undefined;
      if (held) rows.push(deps.narrowings.rowOf(server, subject, held));
      const presence = tracker.find(subject);
      const gained = isOpen && (!wasOpen || compared.gained);
      if (gained && presence && !isBlank(presence.shown))
        deps.servers.mark(server, subject, { urgent: false, resend: true, lasting: presence.shown.statusMsg !== null });
    }
    if (rows.length < rowsPerCommit) continue;
    await deps.storage.commit({ rows });
    rows = [];
  }
  if (rows.length > 0) await deps.storage.commit({ rows });
}

function momentBefore(
  { roster, ground, rules, awareness }: SettingsChangeDeps,
  former: AudienceSettings,
  facts: StoredFacts,
): Moment {
  const sizes = new RoomSizes({ roster, settings: former });
  sizes.load(facts);
  const rulesOf = rules.under(readAdministratorConfigs(former));
  return momentOf({ ...ground, rulesOf, counts: (roomId: RoomId) => sizes.counts(roomId) }, (server) =>
    awareness.isAware(server) ? 'send' : former.unawareServers,
  );
}

function listBoth(roster: Roster, subject: UserId, { before, after }: { before: Moment; after: Moment }) {
  return new Set([...listServers(subject, roster, before.facts), ...listServers(subject, roster, after.facts)]);
}

function relevant(settings: AudienceSettings): AudienceSettings {
  const { enabled, outbound, excludedRooms, largestRoom, defaultConfig, overrideConfig, unawareServers } = settings;
  const rooms = [...excludedRooms].sort();
  return { enabled, outbound, excludedRooms: rooms, largestRoom, defaultConfig, overrideConfig, unawareServers };
}

/** Written by an earlier start; whatever cannot be read is taken for the widest there is. */
function parse(text: string): AudienceSettings {
  try {
    const settings: AudienceSettings = { ...relevant(defaultPresenceSettings), ...JSON.parse(text) };
    readAdministratorConfigs(settings);
    return settings;
  } catch {
    return relevant(defaultPresenceSettings);
  }
}
