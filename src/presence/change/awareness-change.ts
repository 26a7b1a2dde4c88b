import { breathe } from '../../base/breathe.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Roster } from '../../roster/roster.ts';
import type { Row } from '../../storage/contract/commit.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import { compareOnServer, listServers, type Moment, momentOf } from '../core/audience.ts';
import type { Ground } from '../core/facts.ts';
import { isBlank } from '../core/shown.ts';
import type { LocalSubjects } from '../core/subjects.ts';
import type { UnawareServers } from '../settings.ts';
import type { ServerMarks } from './addressees.ts';
import type { NarrowingRows } from './narrowing-rows.ts';

const rowsPerCommit = 500;

export interface AwarenessChangeDeps {
  settings: { readonly unawareServers: UnawareServers };
  tracker: Pick<LocalSubjects, 'find' | 'subjects'>;
  roster: Roster;
  ground: Ground;
  narrowings: Pick<NarrowingRows, 'findHeld' | 'rowOf'>;
  servers: Pick<ServerMarks, 'mark'>;
  storage: Pick<Storage, 'commit'>;
}

/**
 * A server turned aware, and gets what was withheld from it; or it is not known to be aware any more, and what it holds is
 * taken back. What is so now is already in force.
 */
export async function tellOfAwareness(
  deps: AwarenessChangeDeps,
  server: ServerName,
  turned: 'aware' | 'lapsed',
): Promise<void> {
  const { settings, tracker, roster, ground } = deps;
  if (settings.unawareServers === 'send') return;
  const aware = momentOf(ground, () => 'send');
  const unaware = momentOf(ground, () => settings.unawareServers);
  const moments: { before: Moment; after: Moment } =
    turned === 'aware' ? { before: unaware, after: aware } : { before: aware, after: unaware };
  let rows: Row[] = [];
  for (const subject of [...tracker.subjects()]) {
    await breathe();
    if (!listServers(subject, roster, aware.facts).has(server)) continue;
    const { gained, lost } = await compareOnServer(roster, { subject, server }, moments);
    const held = lost ? deps.narrowings.findHeld(server, subject) : undefined;
    if (held) rows.push(deps.narrowings.rowOf(server, subject, held));
    const presence = tracker.find(subject);
    if (gained && presence && !isBlank(presence.shown))
      deps.servers.mark(server, subject, { urgent: false, resend: true, lasting: presence.shown.statusMsg !== null });
    if (rows.length < rowsPerCommit) continue;
    await deps.storage.commit({ rows });
    rows = [];
  }
  if (rows.length > 0) await deps.storage.commit({ rows });
}
