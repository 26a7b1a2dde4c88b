import { breathe } from '../../base/breathe.ts';
import type { Clock } from '../../base/clock.ts';
import type { DeviceId, UserId } from '../../matrix/ids.ts';
import type { Roster } from '../../roster/roster.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import { createFacts, type Difference, type Ground, withDifference } from '../core/facts.ts';
import type { Past, Span } from '../core/past.ts';
import { listNamed } from '../core/rules.ts';
import { isBlank } from '../core/shown.ts';
import type { LocalSubjects, RemoteSubjects } from '../core/subjects.ts';
import { listensTo, type PolicyFacts, reaches } from '../policy.ts';
import type { PresenceAnswer, PresenceRequest } from '../types.ts';
import type { Inbox, Inboxes } from './inbox.ts';
import { bareOfflineText, presenceEventText, type Sight } from './render.ts';
import type { Sights } from './sight.ts';
import { numbersPerMs, type PresenceTokens } from './token.ts';

/** A token's number may run a little ahead of the hour when much is addressed to one viewer at once. */
const marginMs = 10;

/** As many as need no pause between them. */
const readNowMax = 100;

export interface ReaderDeps {
  tracker: Pick<LocalSubjects, 'find' | 'subjects' | 'size'>;
  remote: Pick<RemoteSubjects, 'has' | 'subjects' | 'size' | 'copiesOf' | 'governedIn' | 'findVisible'>;
  roster: Pick<Roster, 'roomsOf' | 'usersIn' | 'usersSharingWith' | 'shareRoom'>;
  sights: Sights;
  inboxes: Inboxes;
  past: Past;
  ground: Ground;
  tokens: PresenceTokens;
  storage: { presence: Pick<Storage['presence'], 'listLosses'> };
  clock: Clock;
  /** How long a change may have taken to be addressed. */
  lagMs(): number;
  isLocal(userId: UserId): boolean;
}

/** About when a token was given: what was so at some time of that span. */
interface Then extends Span {
  readonly facts: readonly PolicyFacts[];
}

/** The events of one answer; each subject once. */
interface Answer {
  readonly request: PresenceRequest;
  readonly inbox: Inbox;
  readonly events: string[];
  readonly named: Set<UserId>;
  /** Somebody was left out who would have been named; another filter may want them. */
  isFiltered: boolean;
}

function newAnswer(request: PresenceRequest, inbox: Inbox): Answer {
  return { request, inbox, events: [], named: new Set(), isFiltered: false };
}

/** What a viewer's device is told by `/sync`. All of it comes from the inbox or is asked of the policy now. */
export class Reader {
  readonly #deps: ReaderDeps;
  readonly #facts: PolicyFacts;

  constructor(deps: ReaderDeps) {
    this.#deps = deps;
    this.#facts = createFacts(deps.ground);
  }

  /** As `PresencePart` says it. */
  mayTell(viewer: UserId, deviceId: DeviceId, since: string): boolean {
    const inbox = this.#deps.inboxes.find(viewer);
    const number = inbox === undefined ? undefined : this.#numberOf(inbox, since);
    if (inbox === undefined || number === undefined || inbox.hasSince(number)) return true;
    inbox.noteFetched(deviceId, number);
    return false;
  }

  /** What the token stands for in the inbox; undefined for one of another process. */
  #numberOf(inbox: Inbox, since: string): number | undefined {
    const token = this.#deps.tokens.parse(since);
    return inbox.findEquivalent(since) ?? (token.epoch === 'ours' ? token.number : undefined);
  }

  /** As `PresencePart` says it. */
  readNow(request: PresenceRequest): PresenceAnswer | undefined {
    const inbox = this.#deps.inboxes.find(request.viewer);
    const { since } = request;
    if (inbox === undefined || since === null || request.newlyShared.size > 0) return undefined;
    const number = this.#numberOf(inbox, since);
    const entries = number === undefined ? undefined : inbox.entriesSince(number);
    if (number === undefined || entries === undefined || entries.length > readNowMax) return undefined;
    inbox.noteFetched(request.deviceId, number);
    const answer = newAnswer(request, inbox);
    for (const [subject, { loss }] of entries) this.#giveAddressed(answer, subject, loss);
    const upTo = entries.at(-1)?.[1].number ?? number;
    return { events: answer.events, token: answer.events.length === 0 ? since : this.#deps.tokens.encode(upTo) };
  }

  async read(request: PresenceRequest): Promise<PresenceAnswer> {
    const inbox = this.#deps.inboxes.open(request.viewer);
    const answer = newAnswer(request, inbox);
    const { since } = request;
    if (since === null) return this.#initial(answer);
    const token = this.#deps.tokens.parse(since);
    const number = inbox.findEquivalent(since) ?? (token.epoch === 'ours' ? token.number : undefined);
    const entries = number === undefined ? undefined : inbox.entriesSince(number);
    if (number !== undefined && entries) return this.#incremental(answer, since, { number, entries });
    // Taken before anything is read: what is addressed meanwhile is given next time.
    const upTo = inbox.next();
    if (token.epoch === 'ours') await this.#sinceAway(answer, token);
    else await this.#sinceRestart(answer, token.givenAtMs);
    await this.#newlyShared(answer);
    inbox.noteFetched(request.deviceId, upTo);
    if (answer.events.length > 0) return { events: answer.events, token: this.#deps.tokens.encode(upTo) };
    if (!answer.isFiltered) inbox.setEquivalent(since, upTo);
    return { events: [], token: since };
  }

  /** Only users who are not offline, or have a status. */
  async #initial(answer: Answer): Promise<PresenceAnswer> {
    const upTo = answer.inbox.next();
    await this.#forEachCandidate(answer.request.viewer, (subject) => this.#giveIfShown(answer, subject));
    answer.inbox.noteFetched(answer.request.deviceId, upTo);
    return { events: answer.events, token: this.#deps.tokens.encode(upTo) };
  }

  async #incremental(
    answer: Answer,
    since: string,
    found: {
      readonly number: number;
      readonly entries: readonly (readonly [UserId, { number: number; loss: boolean }])[];
    },
  ): Promise<PresenceAnswer> {
    answer.inbox.noteFetched(answer.request.deviceId, found.number);
    let upTo = found.number;
    let count = 0;
    for (const [subject, entry] of found.entries) {
      count += 1;
      if (count % 100 === 0) await breathe();
      upTo = Math.max(upTo, entry.number);
      this.#giveAddressed(answer, subject, entry.loss);
    }
    const before = answer.events.length;
    await this.#newlyShared(answer);
    if (answer.events.length === 0) return { events: [], token: since };
    if (answer.events.length > before && upTo === answer.inbox.last) upTo = answer.inbox.next();
    return { events: answer.events, token: this.#deps.tokens.encode(upTo) };
  }

  #giveAddressed(answer: Answer, subject: UserId, loss: boolean): void {
    const sight = this.#deps.sights.find(subject, answer.request.viewer);
    if (sight !== 'denied') this.#give(answer, subject, sight);
    // An update from before a denial is kept back; the loss that follows from the denial is on its way.
    else if (loss) this.#giveLoss(answer, subject);
  }

  /** The answer that shows a join shows the presence gained by it, without waiting for anybody. */
  async #newlyShared(answer: Answer): Promise<void> {
    let count = 0;
    for (const subject of answer.request.newlyShared) {
      count += 1;
      if (count % 100 === 0) await breathe();
      if (answer.named.has(subject)) continue;
      const shown = this.#giveIfShown(answer, subject);
      if (shown) answer.inbox.noteGiven(subject, shown.shown);
    }
  }

  /** A token of this process whose inbox was closed: what is different now from what it was then. */
  async #sinceAway(answer: Answer, token: { readonly elapsedMs: number; readonly givenAtMs: number }): Promise<void> {
    const { viewer } = answer.request;
    const { past, ground, lagMs } = this.#deps;
    // What changed then may have been addressed a little later, and numbers may run a little ahead.
    const from = token.elapsedMs - marginMs - lagMs();
    const to = token.elapsedMs + 1 / numbersPerMs;
    const differences = past.differencesIn({ from, to });
    if (!differences) return this.#sinceRestart(answer, token.givenAtMs);
    const facts = differences.map((difference) => createFacts(withDifference(ground, difference)));
    const then: Then = { from, to, facts };
    await this.#forEachCandidate(viewer, (subject) => this.#giveIfDifferent(answer, subject, then));
    for (const subject of usersOf(differences[0])) this.#giveIfDifferent(answer, subject, then);
    for (const { rulesOf } of facts)
      for (const subject of listNamed(rulesOf(viewer))) this.#giveIfDifferent(answer, subject, then);
    // Who was not seen then is not named now, whatever came between.
    await this.#giveLosses(answer, token.givenAtMs, (subject) => this.#saw(subject, viewer, then));
  }

  #giveIfDifferent(answer: Answer, subject: UserId, then: Then): void {
    const { viewer } = answer.request;
    if (answer.named.has(subject)) return;
    const sight = this.#deps.sights.find(subject, viewer);
    const { isLocal, tracker } = this.#deps;
    if (isLocal(subject)) {
      const presence = tracker.find(subject);
      if (!presence) return;
      if (sight === 'denied') {
        if (this.#saw(subject, viewer, then)) this.#giveLoss(answer, subject);
        return;
      }
      const isGained = then.facts.some((facts) => !reaches(subject, viewer, facts)) && !isBlank(sight.shown);
      if (presence.changedAt >= then.from || isGained) this.#give(answer, subject, sight);
      return;
    }
    this.#giveRemoteIfDifferent(answer, subject, { ...then, sight });
  }

  #giveRemoteIfDifferent(answer: Answer, subject: UserId, then: Then & { readonly sight: Sight | 'denied' }): void {
    const { viewer } = answer.request;
    const { remote } = this.#deps;
    if (!remote.has(subject)) return;
    if (then.sight === 'denied') {
      if (this.#saw(subject, viewer, then)) this.#giveLoss(answer, subject);
      return;
    }
    const copy = remote.findVisible(subject, viewer);
    const isGained = then.facts.some((facts) => !listensTo(viewer, subject, facts));
    if (copy && (isGained || copy.changedAt >= then.from)) this.#give(answer, subject, then.sight);
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
  async #sinceRestart(answer: Answer, givenAtMs: number): Promise<void> {
    const { viewer } = answer.request;
    await this.#forEachCandidate(viewer, (subject) => {
      const sight = this.#deps.sights.find(subject, viewer);
      if (sight === 'denied') this.#giveLoss(answer, subject);
      else this.#give(answer, subject, sight);
    });
    // Of whom nothing is known any more, or no room is shared with, only the loss remembers that they were shown.
    for (const { subject } of await this.#listLosses(viewer, givenAtMs)) {
      if (this.#deps.sights.find(subject, viewer) === 'denied') this.#giveLoss(answer, subject);
    }
  }

  /** Whom the viewer lost together with the last shared room. */
  async #giveLosses(answer: Answer, sinceMs: number, saw: (subject: UserId) => boolean): Promise<void> {
    const { viewer } = answer.request;
    for (const { subject } of await this.#listLosses(viewer, sinceMs)) {
      if (answer.named.has(subject)) continue;
      // Who shares a room again, or is wanted, is spoken of by the policy alone.
      if (!listensTo(viewer, subject, this.#facts) && saw(subject)) this.#giveLoss(answer, subject);
    }
  }

  #listLosses(viewer: UserId, sinceMs: number) {
    const { storage, lagMs } = this.#deps;
    return storage.presence.listLosses(viewer, sinceMs - marginMs - lagMs());
  }

  #giveIfShown(answer: Answer, subject: UserId): Sight | undefined {
    // Most members of a large room are not there: they are passed over before the policy is asked.
    if (!this.#isShownToAnybody(subject) || !answer.request.accepts(subject)) return undefined;
    const sight = this.#deps.sights.find(subject, answer.request.viewer);
    if (sight === 'denied' || isBlank(sight.shown)) return undefined;
    this.#give(answer, subject, sight);
    return sight;
  }

  #isShownToAnybody(subject: UserId): boolean {
    const { tracker, remote, isLocal } = this.#deps;
    if (!isLocal(subject)) return remote.copiesOf(subject).length > 0;
    const presence = tracker.find(subject);
    return presence !== undefined && !isBlank(presence.shown);
  }

  #give(answer: Answer, subject: UserId, sight: Sight): void {
    if (this.#mayName(answer, subject)) answer.events.push(presenceEventText(subject, sight));
  }

  #giveLoss(answer: Answer, subject: UserId): void {
    if (this.#mayName(answer, subject)) answer.events.push(bareOfflineText(subject));
  }

  /** Each subject once, and only whom the filter lets in. */
  #mayName(answer: Answer, subject: UserId): boolean {
    if (answer.named.has(subject)) return false;
    if (!answer.request.accepts(subject)) {
      answer.isFiltered = true;
      return false;
    }
    answer.named.add(subject);
    return true;
  }

  /** The viewer, and everybody who has a record and shares a room with them, by the shorter of two ways, or is named by them. */
  async #forEachCandidate(viewer: UserId, visit: (subject: UserId) => void): Promise<void> {
    const { roster, tracker, remote } = this.#deps;
    visit(viewer);
    for (const subject of listNamed(this.#facts.rulesOf(viewer)))
      if (subject !== viewer && !roster.shareRoom(subject, viewer)) visit(subject);
    const records = tracker.size + remote.size;
    let members = 0;
    for (const roomId of roster.roomsOf(viewer)) members += roster.usersIn(roomId).size;
    let count = 0;
    if (members <= records) {
      for (const subject of roster.usersSharingWith(viewer)) {
        count += 1;
        if (count % 100 === 0) await breathe();
        if (tracker.find(subject) || remote.has(subject)) visit(subject);
      }
      return;
    }
    for (const subjects of [[...tracker.subjects()], [...remote.subjects()]]) {
      for (const subject of subjects) {
        count += 1;
        if (count % 100 === 0) await breathe();
        if (subject !== viewer && roster.shareRoom(subject, viewer)) visit(subject);
      }
    }
  }
}

function usersOf(difference: Difference): UserId[] {
  return [...new Set([...difference.rules.keys(), ...difference.joined.keys()])];
}
