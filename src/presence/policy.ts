import type { UserId } from '../matrix/ids.ts';
import type { ServerName } from '../matrix/server-name.ts';
import { coversServer, mayMatchServer, type SharingConfig, type SharingRules } from './sharing-config.ts';

/**
 * Who sees whom. Every path asks here: live and initial `/sync`, newly joined rooms, GET, and what is sent to other servers.
 * Pure: what it needs to know comes as facts.
 */
export interface PolicyFacts {
  rulesOf(subject: UserId): SharingRules;
  /** Both are joined to some room, whatever its size. */
  shareRoom(a: UserId, b: UserId): boolean;
  /** Both are joined to a room that counts: not excluded, not oversized; `among` and `except` narrow it further. */
  shareCountingRoom(a: UserId, b: UserId, which?: RoomChoice): boolean;
  /** Every room the user is joined to counts and is accepted. */
  everyRoomIs(user: UserId, accepts: (roomId: string, counts: boolean) => boolean): boolean;
}

export interface RoomChoice {
  readonly among?: ReadonlySet<string>;
  readonly except?: ReadonlySet<string>;
}

/** The step of MSC4325 that decided, as `presence/README.md` numbers them. */
export type PolicyStep = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9;

export interface Verdict {
  readonly sees: boolean;
  readonly step: PolicyStep;
}

const yes = (step: PolicyStep): Verdict => ({ sees: true, step });
const no = (step: PolicyStep): Verdict => ({ sees: false, step });

/** Whether `viewer` is in the audience of `subject`. */
export function maySee(subject: UserId, viewer: UserId, facts: PolicyFacts): boolean {
  if (viewer === subject) return true;
  const rules = facts.rulesOf(subject);
  if (rules.unreadable) return false;
  for (const config of rules.configs) {
    if (!decide({ subject, viewer, config, ignored: rules.ignored }, facts).sees) return false;
  }
  return true;
}

/** The first step that matches decides: the exact before the glob, people before rooms, rooms before the default. */
export function decide(
  question: { subject: UserId; viewer: UserId; config: SharingConfig; ignored: ReadonlySet<UserId> },
  facts: PolicyFacts,
): Verdict {
  const { subject, viewer, config, ignored } = question;
  const { allowed, denied } = config;
  if (viewer === subject) return yes(1);
  // Nothing is shared with strangers, however they are named.
  if (allowed.users.has(viewer)) return facts.shareRoom(subject, viewer) ? yes(2) : no(2);
  if (ignored.has(viewer) || denied.users.has(viewer)) return no(3);
  if (allowed.globs.some((glob) => glob.matches(viewer)) && facts.shareCountingRoom(subject, viewer)) return yes(4);
  if (denied.globs.some((glob) => glob.matches(viewer))) return no(5);
  if (allowed.rooms.size > 0 && facts.shareCountingRoom(subject, viewer, { among: allowed.rooms })) return yes(6);
  // A catch-all is the user's default, so it is asked after the rooms that they allow.
  if (denied.catchAll) return no(7);
  if (facts.shareCountingRoom(subject, viewer, { except: denied.rooms })) return yes(8);
  return no(9);
}

/**
 * Whether the audience of `subject` on `server` is, and whatever happens there stays, every user of it who shares any room
 * with the subject. Only then may an update leave the recipients out. Where it cannot be told the answer is no: a list of
 * names is never wrong.
 */
export function sharesWithWholeServer(subject: UserId, server: ServerName, facts: PolicyFacts): boolean {
  const rules = facts.rulesOf(subject);
  // Steps 2 and 3: nobody of that server is out by name.
  if (rules.unreadable || rules.serversNamedOut.has(server)) return false;
  return rules.configs.every(({ allowed, denied }) => {
    // Step 4: a glob lets all of them in, wherever they share a room that counts.
    if (allowed.globs.some(({ text }) => coversServer(text, server)))
      return facts.everyRoomIs(subject, (_, counts) => counts);
    // Step 5: no glob can put anybody of that server out.
    if (denied.globs.some(({ text }) => mayMatchServer(text, server))) return false;
    // Steps 6 to 8: each room of the subject lets everybody in who is in it.
    return facts.everyRoomIs(
      subject,
      (roomId, counts) => counts && (allowed.rooms.has(roomId) || (!denied.catchAll && !denied.rooms.has(roomId))),
    );
  });
}
