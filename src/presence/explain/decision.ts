import type { RoomId, UserId } from '../../matrix/ids.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Ground } from '../core/facts.ts';
import { decide, findObjection, type PolicyFacts, type PolicyStep, type Verdict } from '../policy.ts';
import { coversServer, type SharingConfig } from '../sharing-config.ts';
import type { SharingRules } from '../sharing-rules.ts';

/** Why somebody sees, or does not see, the subject. */
export interface Decision {
  readonly sees: boolean;
  /** Null: a stored config cannot be read, and nothing was asked. */
  readonly step: PolicyStep | null;
  /** Whose config decided. */
  readonly config: 'own' | 'default' | 'override';
  readonly list: 'allowed_users' | 'denied_users' | 'ignored_users' | null;
  /** The entry of that list; for step 8 the room that both share. */
  readonly entry: string | null;
}

export interface Basis {
  readonly facts: PolicyFacts;
  readonly ground: Ground;
}

interface Pair {
  readonly subject: UserId;
  readonly viewer: UserId;
}

/** The answer of `maySee`, with its reason: what denied, else what allowed. */
export function explainPair(pair: Pair, { facts, ground }: Basis): Decision {
  const rules = facts.rulesOf(pair.subject);
  if (rules.unreadable) return unreadable;
  let allowed: Decision = unreadable;
  for (const config of rules.configs) {
    const verdict = decide({ ...pair, config, ignored: rules.ignored }, facts);
    allowed = { ...findReason(verdict, { ...pair, config, ignored: rules.ignored }, ground), config: writerOf(rules) };
    if (!verdict.sees) return allowed;
  }
  const { override } = rules;
  const objection = override ? findObjection({ ...pair, override }, facts) : undefined;
  if (!override || !objection) return allowed;
  return { ...findReason(objection, { ...pair, config: override, ignored: nobody }, ground), config: 'override' };
}

/** Why everybody of a whole server sees the subject; asked only where `sharesWithWholeServer` says so. */
export function explainWholeServer(subject: UserId, server: ServerName, { facts }: Basis): Decision {
  const rules = facts.rulesOf(subject);
  const [config] = rules.configs;
  const base = { sees: true, config: writerOf(rules), list: null, entry: null } as const;
  const glob = config?.allowed.globs.find(({ text }) => coversServer(text, server));
  if (glob) return { ...base, step: 4, list: 'allowed_users', entry: glob.text };
  // A catch-all is overcome only where all of the subject's rooms are allowed.
  return { ...base, step: config?.denied.catchAll === null ? 8 : 6 };
}

const nobody: ReadonlySet<UserId> = new Set();
const unreadable: Decision = { sees: false, step: null, config: 'own', list: null, entry: null };

function writerOf({ isOwn }: SharingRules): 'own' | 'default' {
  return isOwn ? 'own' : 'default';
}

function findReason(
  { sees, step }: Verdict,
  question: Pair & { readonly config: SharingConfig; readonly ignored: ReadonlySet<UserId> },
  ground: Ground,
): Omit<Decision, 'config'> {
  const { viewer, config, ignored } = question;
  const { allowed, denied } = config;
  const because = (list: Decision['list'], entry: string | undefined) => ({ sees, step, list, entry: entry ?? null });
  if (step === 2) return because('allowed_users', viewer);
  if (step === 3) return because(ignored.has(viewer) ? 'ignored_users' : 'denied_users', viewer);
  if (step === 4) return because('allowed_users', allowed.globs.find((glob) => glob.matches(viewer))?.text);
  if (step === 5) return because('denied_users', denied.globs.find((glob) => glob.matches(viewer))?.text);
  const shared = listSharedRooms(question, ground);
  if (step === 6)
    return because(
      'allowed_users',
      shared.find((roomId) => allowed.rooms.has(roomId)),
    );
  if (step === 7) return because('denied_users', denied.catchAll ?? undefined);
  if (step === 8)
    return because(
      null,
      shared.find((roomId) => !denied.rooms.has(roomId)),
    );
  // Step 9: every room that they share is denied, or they share none that counts.
  return shared[0] === undefined ? because(null, undefined) : because('denied_users', shared[0]);
}

/** Rooms that count and that both are in. */
function listSharedRooms({ subject, viewer }: Pair, ground: Ground): RoomId[] {
  const theirs = ground.roomsOf(viewer);
  return [...ground.roomsOf(subject)].filter((roomId) => theirs.has(roomId) && ground.counts(roomId)).sort();
}
