import { breathe } from '../../base/breathe.ts';
import type { RoomId } from '../../matrix/ids.ts';
import type { Roster } from '../../roster/roster.ts';
import type { Row } from '../../storage/contract/commit.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import { compareOnServer, momentOf } from '../core/audience.ts';
import type { Ground } from '../core/facts.ts';
import { RoomSizes } from '../core/room-sizes.ts';
import type { LocalSubjects } from '../core/subjects.ts';
import { defaultPresenceSettings, type PresenceSettings } from '../settings.ts';
import type { AudienceRows } from './audience-rows.ts';

const factName = 'settings';
const rowsPerCommit = 500;

type AudienceSettings = Pick<PresenceSettings, 'enabled' | 'outbound' | 'excludedRooms' | 'largestRoom'>;

export interface SettingsChangeDeps {
  settings: PresenceSettings;
  tracker: Pick<LocalSubjects, 'find' | 'subjects'>;
  roster: Roster;
  ground: Ground;
  rows: AudienceRows;
  storage: Pick<Storage, 'commit'>;
}

/**
 * "A changed presence setting, also one that takes effect by a restart, is a change of audience": other servers hold what the
 * former settings let them have. Our own users come with tokens from before the restart, which is answer enough.
 */
export async function narrowForSettings(
  deps: SettingsChangeDeps,
  facts: readonly { readonly name: string; readonly value: string }[],
): Promise<void> {
  const stored = facts.find(({ name }) => name === factName)?.value;
  const value = JSON.stringify(relevant(deps.settings));
  if (stored === value) return;
  const former = stored === undefined ? undefined : parse(stored);
  if (former?.enabled && former.outbound) await narrow(deps, former, facts);
  await deps.storage.commit({ rows: [{ kind: 'presence_fact', name: factName, value }] });
}

async function narrow(
  deps: SettingsChangeDeps,
  former: AudienceSettings,
  facts: Iterable<{ readonly name: string; readonly value: string }>,
): Promise<void> {
  const { roster, ground, settings } = deps;
  const sizes = new RoomSizes({ roster, settings: former });
  sizes.load(facts);
  const groundBefore: Ground = { ...ground, counts: (roomId: RoomId) => sizes.counts(roomId) };
  const before = momentOf(groundBefore);
  const after = momentOf(ground);
  const isOpen = settings.enabled && settings.outbound;
  let rows: Row[] = [];
  for (const subject of [...deps.tracker.subjects()]) {
    await breathe();
    for (const server of roster.serversSharingWith(subject)) {
      const held = deps.rows.findHeld(server, subject);
      if (!held) continue;
      const { lost } = isOpen ? await compareOnServer(roster, { subject, server }, { before, after }) : { lost: true };
      if (lost) rows.push(deps.rows.narrowingRow(server, subject, held));
    }
    if (rows.length < rowsPerCommit) continue;
    await deps.storage.commit({ rows });
    rows = [];
  }
  if (rows.length > 0) await deps.storage.commit({ rows });
}

function relevant({ enabled, outbound, excludedRooms, largestRoom }: AudienceSettings): AudienceSettings {
  return { enabled, outbound, excludedRooms: [...excludedRooms].sort(), largestRoom };
}

/** Written by an earlier start; whatever cannot be read is taken for the widest there is. */
function parse(text: string): AudienceSettings {
  try {
    return { ...relevant(defaultPresenceSettings), ...JSON.parse(text) };
  } catch {
    return relevant(defaultPresenceSettings);
  }
}
