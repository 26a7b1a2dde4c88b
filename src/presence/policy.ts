import { serverOfUser, type UserId } from '../matrix/ids.ts';
import type { ServerName } from '../matrix/server-name.ts';
import { coversServer, type Glob, mayMatchServer, type SharingConfig } from './sharing-config.ts';
import { type SharingRules, strangerServersOf } from './sharing-rules.ts';

/**
 * Who sees whom (MSC4325, "Presence privacy"). Every path asks here: live and initial `/sync`, newly joined rooms, GET, and what is sent to other
 * servers. Pure: what it needs to know comes as facts.
 */

/** Whether `viewer` is in the audience of `subject`: whether the subject, and the administrator, let them see. */
export function maySee(subject: UserId, viewer: UserId, facts: PolicyFacts): boolean {
  return findStep(subject, viewer, facts) !== null;
}

/** What one document says. The first step that matches decides: the exact before the glob, people before rooms, rooms before the default. */
export function decide(
  question: { subject: UserId; viewer: UserId; config: SharingConfig; ignored: ReadonlySet<UserId> },
  facts: PolicyFacts,
): Verdict {
  const { subject, viewer, config, ignored } = question;
  const { allowed, denied } = config;
  if (viewer === subject) return yes[1];
  // The only step that lets anybody in who shares no room.
  if (allowed.users.has(viewer)) return yes[2];
  if (ignored.has(viewer) || denied.users.has(viewer)) return no[3];
  if (matchesAny(allowed.globs, viewer) && facts.shareCountingRoom(subject, viewer)) return yes[4];
  if (matchesAny(denied.globs, viewer)) return no[5];
  if (allowed.rooms.size > 0 && facts.shareCountingRoom(subject, viewer, { among: allowed.rooms })) return yes[6];
  // A catch-all is the user's default, so it is asked after the rooms that they allow.
  if (denied.catchAll !== null) return no[7];
  const which = denied.rooms.size > 0 ? { except: denied.rooms } : undefined;
  if (facts.shareCountingRoom(subject, viewer, which)) return yes[8];
  return no[9];
}

/** The step by which the viewer is let in, the lowest where there are two documents; null: they are not. */
function findStep(subject: UserId, viewer: UserId, facts: PolicyFacts): PolicyStep | null {
  if (viewer === subject) return 1;
  const { configs, override, ignored, unreadable } = facts.rulesOf(subject);
  if (unreadable) return null;
  let lowest: PolicyStep = 9;
  for (const config of configs) {
    const { sees, step } = decide({ subject, viewer, config, ignored }, facts);
    if (!sees) return null;
    if (step < lowest) lowest = step;
  }
  return override !== null && findObjection({ subject, viewer, override }, facts) ? null : lowest;
}

/**
 * The administrator's override "is asked with its own lists alone, and where none of its entries matches it has no objection".
 * The verdict that objects, or undefined.
 */
export function findObjection(
  { subject, viewer, override }: { subject: UserId; viewer: UserId; override: SharingConfig },
  facts: PolicyFacts,
): Verdict | undefined {
  const verdict = decide({ subject, viewer, config: override, ignored: nobody }, facts);
  if (verdict.sees) return undefined;
  // "At step 8 it objects only when every room that counts and that both share stands in its `denied_users`."
  return verdict.step < 9 || facts.shareCountingRoom(subject, viewer) ? verdict : undefined;
}

/**
 * Whether updates of `subject`, one of ours, are given to `viewer`. Without a shared room the policy only permits, and a stranger
 * must not be able to push their words at anybody: one of ours has to want them, for one of another server it is that server
 * who asks, and few of those are told at all.
 */
export function reaches(subject: UserId, viewer: UserId, facts: PolicyFacts): boolean {
  const step = findStep(subject, viewer, facts);
  if (step === null) return false;
  // Step 2 is the only one that needs no shared room.
  if (step !== 2 || facts.shareRoom(subject, viewer)) return true;
  const [ownServer, server] = [serverOfUser(subject), serverOfUser(viewer)];
  if (server === ownServer) return wants(viewer, subject, facts);
  return strangerServersOf(facts.rulesOf(subject), ownServer).includes(server);
}

/** Whether `viewer`, one of ours, may be given anything of `subject`, whoever lets them see it. */
export function listensTo(viewer: UserId, subject: UserId, facts: PolicyFacts): boolean {
  return facts.shareRoom(subject, viewer) || wants(viewer, subject, facts);
}

/** "If V's own `allowed_users` names S exactly and V does not ignore S." */
function wants(viewer: UserId, subject: UserId, facts: PolicyFacts): boolean {
  const { configs, isOwn, ignored, unreadable } = facts.rulesOf(viewer);
  if (unreadable || !isOwn || ignored.has(subject)) return false;
  return configs.every(({ allowed }) => allowed.users.has(subject));
}

/**
 * Whether the audience of `subject` on `server` is, and whatever happens there stays, every user of it who shares any room
 * with the subject. Only then may an update leave the recipients out. Where it cannot be told the answer is no: a list of
 * names is never wrong.
 */
export function sharesWithWholeServer(subject: UserId, server: ServerName, facts: PolicyFacts): boolean {
  const rules = facts.rulesOf(subject);
  // Step 3: nobody of that server is out by name.
  if (rules.unreadable || rules.serversNamedOut.has(server)) return false;
  // Step 2: nobody of it is in who shares no room; leaving out the recipients would leave them out.
  const named = rules.namedByServer.get(server) ?? [];
  if (named.some((viewer) => !facts.shareRoom(subject, viewer))) return false;
  const configs = rules.override === null ? rules.configs : [...rules.configs, rules.override];
  return configs.every(({ allowed, denied }) => {
    // Step 4: a glob lets all of them in, wherever they share a room that counts.
    if (allowed.globs.some(({ text }) => coversServer(text, server)))
      return facts.everyRoomIs(subject, (_, counts) => counts);
    // Step 5: no glob puts anybody of that server out.
    if (denied.globs.some(({ text }) => mayMatchServer(text, server))) return false;
    // Steps 6 to 8: each room of the subject lets everybody in who is in it.
    return facts.everyRoomIs(
      subject,
      (roomId, counts) =>
        counts && (allowed.rooms.has(roomId) || (denied.catchAll === null && !denied.rooms.has(roomId))),
    );
  });
}

/** What the policy is asked with. */
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

const yes = makeVerdicts(true);
const no = makeVerdicts(false);
const nobody: ReadonlySet<UserId> = new Set();

function matchesAny(globs: readonly Glob[], viewer: UserId): boolean {
  for (const glob of globs) if (glob.matches(viewer)) return true;
  return false;
}

/** By step; made once, because the policy is asked millions of times. */
function makeVerdicts(sees: boolean): Readonly<Record<PolicyStep, Verdict>> {
  const of = (step: PolicyStep): Verdict => ({ sees, step });
  return { 1: of(1), 2: of(2), 3: of(3), 4: of(4), 5: of(5), 6: of(6), 7: of(7), 8: of(8), 9: of(9) };
}
