import { systemClock } from '../../base/clock.ts';
import { isUserId, serverOfUser } from '../../matrix/ids.ts';
import type { Decision } from '../../presence/explain/decision.ts';
import { encodeReport } from '../../presence/explain/encode.ts';
import { reportFromStorage } from '../../presence/explain/from-storage.ts';
import type { AudienceReport } from '../../presence/explain/report.ts';
import { StorageOpenError } from '../../storage/sqlite/core/open-error.ts';
import { openSqliteToRead } from '../../storage/sqlite/open-reading.ts';
import { loadConfig } from '../config/load.ts';
import { presenceSettings } from '../presence-parts.ts';
import { StartError } from '../start-error.ts';
import type { CommandLine } from './run-types.ts';

/** `lantern presence-audience @user:server`: who sees this user's presence, and why. The server may be running. */
export async function presenceAudienceCommand({ positionals, options }: CommandLine): Promise<void> {
  const { config } = loadConfig({
    file: options.config,
    env: process.env,
    overrides: options.overrides,
    workingDirectory: process.cwd(),
  });
  const [subject] = positionals;
  if (!isUserId(subject) || positionals.length > 1)
    throw new StartError(`presence-audience: say of whom, such as presence-audience @alice:${config.server_name}.`);
  if (serverOfUser(subject) !== config.server_name)
    throw new StartError(`${subject} is of another server: only that one can say who sees them.`);
  const storage = await openToRead(config.database.file);
  try {
    const settings = presenceSettings(config);
    const report = await reportFromStorage(
      { storage, serverName: config.server_name, settings, clock: systemClock },
      subject,
    );
    process.stdout.write(options.json ? `${JSON.stringify(encodeReport(report))}\n` : describe(report));
  } finally {
    await storage.stop();
  }
}

async function openToRead(file: string) {
  try {
    return await openSqliteToRead({ file, clock: systemClock });
  } catch (error) {
    if (error instanceof StorageOpenError) throw new StartError(`${error.message}.`);
    throw error;
  }
}

function describe({ subject, viewers, servers, warnings }: AudienceReport): string {
  const lines = [
    `Who sees the presence of ${subject}:`,
    ...viewers.map(({ viewer, sharesRoom, ...decision }) => {
      const note = decision.sees && !sharesRoom ? ' (shares no room: told only if they want to be)' : '';
      return `  ${decision.sees ? 'yes' : 'no '}  ${viewer}  ${reasonOf(decision)}${note}`;
    }),
    ...servers.map(({ server, isWhole, viewers: count, honoursList, isWithheld, ...decision }) => {
      if (isWithheld) return `  no   ${server}  told nothing (not known to honour lists)`;
      const who = isWhole
        ? `everybody there who shares a room  ${reasonOf(decision)}`
        : `${count} named users, as above`;
      return `  ${count > 0 || isWhole ? 'yes' : 'no '}  ${server}  ${who}${honoursList ? '' : ' (not known to honour lists)'}`;
    }),
    ...warnings.map(({ message }) => `Note: ${message}.`),
  ];
  return `${lines.join('\n')}\n`;
}

const configs = { own: '', default: " of the administrator's default", override: " of the administrator's override" };

function reasonOf({ step, list, entry, config }: Decision): string {
  if (step === null) return 'the stored settings cannot be read';
  const of = configs[config];
  if (list !== null && entry !== null) return `step ${step}: ${entry} in ${list}${of}`;
  if (step === 8) return `step 8: ${entry ?? 'every room'} is shared and not denied${of}`;
  if (step === 6) return `step 6: every room is allowed${of}`;
  return `step ${step}: no room is shared that counts${of}`;
}
