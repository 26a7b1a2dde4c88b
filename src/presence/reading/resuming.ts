import type { UserId } from '../../matrix/ids.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import { createFacts, type Difference, type Ground, withDifference } from '../core/facts.ts';
import type { Past, Span } from '../core/past.ts';
import { listNamed } from '../core/rules.ts';
import { isBlank } from '../core/shown.ts';
import type { RemoteSubjects } from '../core/subjects.ts';
import { listensTo, type PolicyFacts, reaches } from '../policy.ts';
import type { Answer } from './answer.ts';
import { type CandidatesDeps, forEachCandidate } from './candidates.ts';
import type { Sight } from './render.ts';
import type { Sights } from './sight.ts';
import { numbersPerMs } from './token.ts';

/** A token's number may run a little ahead of the hour when much is addressed to one viewer at once. */
const marginMs = 10;
/** A loss bears the hour at which it was decided on: so much later at most it is committed, and whoever lost sight is told. Said once more it harms nobody. */
const toldWithinMs = 60_000;

export interface ResumingDeps extends CandidatesDeps {
  remote: CandidatesDeps['remote'] & Pick<RemoteSubjects, 'governedIn' | 'findVisible'>;
  sights: Sights;
  past: Past;
  ground: Ground;
  storage: { presence: Pick<Storage['presence'], 'listLosses'> };
  /** How long a change may have taken to be addressed. */
  lagMs(): number;
  isLocal(userId: UserId): boolean;
}

/** About when a token was given: what was so at some time of that span. */
interface Then extends Span {
  readonly facts: readonly PolicyFacts[];
}

/** What is answered to a token that the inbox cannot serve: whom the viewer sees, gained or lost since it was given. */
export class Resuming {
  readonly #deps: ResumingDeps;
  readonly #facts: PolicyFacts;

  constructor(deps: ResumingDeps) {
    this.#deps = deps;
    this.#facts = createFacts(deps.ground);
  }

  /** A token of this process whose inbox was closed: what is different now from what it was then. */
  async sinceAway(answer: Answer, token: { readonly elapsedMs: number; readonly givenAtMs: number }): Promise<void> {
    const { viewer } = answer.request;
    const { past, ground, lagMs } = this.#deps;
    // What changed then may have been addressed a little later, and numbers may run a little ahead.
    const from = token.elapsedMs - marginMs - lagMs();
    const to = token.elapsedMs + 1 / numbersPerMs;
    const differences = past.differencesIn({ from, to });
    if (!differences) return this.sinceRestart(answer, token.givenAtMs);
    const facts = differences.map((difference) => createFacts(withDifference(ground, difference)));
    const then: Then = { from, to, facts };
    await forEachCandidate(this.#deps, viewer, (subject) => this.#giveIfDifferent(answer, subject, then));
    for (const subject of usersOf(differences[0])) this.#giveIfDifferent(answer, subject, then);
    for (const { rulesOf } of facts)
      for (const subject of listNamed(rulesOf(viewer))) this.#giveIfDifferent(answer, subject, then);
    // Who was not seen then is not named now, whatever came between.
    await this.#giveLosses(answer, token.givenAtMs, (subject) => this.#saw(subject, viewer, then));
  }

  #giveIfDifferent(answer: Answer, subject: UserId, then: Then): void {
    const { viewer } = answer.request;
    if (answer.names(subject)) return;
    const sight = this.#deps.sights.find(subject, viewer);
    const { isLocal, tracker } = this.#deps;
    if (isLocal(subject)) {
      const presence = tracker.find(subject);
      if (!presence) return;
      if (sight === 'denied') {
        if (this.#saw(subject, viewer, then)) answer.giveLoss(subject);
        return;
      }
      const isGained = then.facts.some((facts) => !reaches(subject, viewer, facts)) && !isBlank(sight.shown);
      if (presence.changedAt >= then.from || isGained) answer.give(subject, sight);
      return;
    }
    this.#giveRemoteIfDifferent(answer, subject, { ...then, sight });
  }

  #giveRemoteIfDifferent(answer: Answer, subject: UserId, then: Then & { readonly sight: Sight | 'denied' }): void {
    const { viewer } = answer.request;
    const { remote } = this.#deps;
    if (!remote.has(subject)) return;
    if (then.sight === 'denied') {
      if (this.#saw(subject, viewer, then)) answer.giveLoss(subject);
      return;
    }
    const copy = remote.findVisible(subject, viewer);
    const isGained = then.facts.some((facts) => !listensTo(viewer, subject, facts));
    if (copy && (isGained || copy.changedAt >= then.from)) answer.give(subject, then.sight);
  }

  /** Whether the viewer may have been shown the subject then. */
  #saw(subject: UserId, viewer: UserId, then: Then): boolean {
    if (this.#deps.isLocal(subject)) return then.facts.some((facts) => reaches(subject, viewer, facts));
    if (!then.facts.some((facts) => listensTo(viewer, subject, facts))) return false;
    const shares = then.facts.some((facts) => facts.shareRoom(subject, viewer));
    // Where it is not known any more what there was, a bare offline is never wrong.
    return this.#deps.remote.governedIn(subject, { viewer, shares }, then) ?? true;
  }

  /**
   * A token of another process, and what a crash lost is not known: everybody who shares a room and has a record, the state
   * where the policy allows. Clients resume from their own stores, so silence would leave a dot green for ever.
   */
  async sinceRestart(answer: Answer, givenAtMs: number): Promise<void> {
    const { viewer } = answer.request;
    await forEachCandidate(this.#deps, viewer, (subject) => {
      const sight = this.#deps.sights.find(subject, viewer);
      if (sight === 'denied') answer.giveLoss(subject);
      else answer.give(subject, sight);
    });
    // Of whom nothing is known any more, or no room is shared with, only the loss remembers that they were shown.
    for (const { subject } of await this.#listLosses(viewer, givenAtMs)) {
      if (this.#deps.sights.find(subject, viewer) === 'denied') answer.giveLoss(subject);
    }
  }

  /** Whom the viewer lost together with the last shared room. */
  async #giveLosses(answer: Answer, sinceMs: number, saw: (subject: UserId) => boolean): Promise<void> {
    const { viewer } = answer.request;
    for (const { subject } of await this.#listLosses(viewer, sinceMs)) {
      if (answer.names(subject)) continue;
      // Who shares a room again, or is wanted, is spoken of by the policy alone.
      if (!listensTo(viewer, subject, this.#facts) && saw(subject)) answer.giveLoss(subject);
    }
  }

  #listLosses(viewer: UserId, sinceMs: number) {
    return this.#deps.storage.presence.listLosses(viewer, sinceMs - toldWithinMs);
  }
}

function usersOf(difference: Difference): UserId[] {
  return [...new Set([...difference.rules.keys(), ...difference.joined.keys()])];
}
