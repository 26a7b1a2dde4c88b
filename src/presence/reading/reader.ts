import { breathe } from '../../base/breathe.ts';
import type { UserId } from '../../matrix/ids.ts';
import { isBlank } from '../core/shown.ts';
import type { RemoteSubjects } from '../core/subjects.ts';
import type { PresenceAnswer, PresenceRequest } from '../types.ts';
import { Answer } from './answer.ts';
import { forEachCandidate } from './candidates.ts';
import type { DeviceOfViewer, Inbox, Inboxes } from './inbox.ts';
import type { Sight } from './render.ts';
import { Resuming, type ResumingDeps } from './resuming.ts';
import type { PresenceTokens } from './token.ts';

/** As many as need no pause between them. */
const readNowMax = 100;

export interface ReaderDeps extends ResumingDeps {
  remote: ResumingDeps['remote'] & Pick<RemoteSubjects, 'copiesOf'>;
  inboxes: Inboxes;
  tokens: PresenceTokens;
}

/** What a viewer's device is told by `/sync`. All of it comes from the inbox or is asked of the policy now. */
export class Reader {
  readonly #deps: ReaderDeps;
  readonly #resuming: Resuming;

  constructor(deps: ReaderDeps) {
    this.#deps = deps;
    this.#resuming = new Resuming(deps);
  }

  /** As `PresencePoll` says it, of this device of the inbox. */
  mayTell(inbox: Inbox, device: DeviceOfViewer, since: string): boolean {
    const number = this.#numberOf(inbox, since);
    if (number === undefined || inbox.hasSince(number)) return true;
    inbox.noteFetched(device, number);
    return false;
  }

  /** What the token stands for in the inbox; undefined for one of another process. */
  #numberOf(inbox: Inbox, since: string): number | undefined {
    return inbox.findEquivalent(since) ?? this.#deps.tokens.numberOf(since);
  }

  /** As `PresencePoll` says it, of this device of the inbox. */
  readNow(inbox: Inbox, device: DeviceOfViewer, request: PresenceRequest): PresenceAnswer | undefined {
    const { since } = request;
    if (since === null || request.newlyShared.size > 0) return undefined;
    const number = this.#numberOf(inbox, since);
    const entries = number === undefined ? undefined : inbox.entriesSince(number);
    if (number === undefined || entries === undefined || entries.length > readNowMax) return undefined;
    inbox.noteFetched(device, number);
    const answer = new Answer(request, inbox);
    for (const [subject, { loss }] of entries) this.#giveAddressed(answer, subject, loss);
    const upTo = entries.at(-1)?.[1].number ?? number;
    return { events: answer.events, token: answer.events.length === 0 ? since : this.#deps.tokens.encode(upTo) };
  }

  async read(request: PresenceRequest): Promise<PresenceAnswer> {
    const inbox = this.#deps.inboxes.open(request.viewer);
    const answer = new Answer(request, inbox);
    const { since } = request;
    if (since === null) return this.#initial(answer);
    const number = this.#numberOf(inbox, since);
    const entries = number === undefined ? undefined : inbox.entriesSince(number);
    if (number !== undefined && entries) return this.#incremental(answer, since, { number, entries });
    // Taken before anything is read: what is addressed meanwhile is given next time.
    const upTo = inbox.next();
    const token = this.#deps.tokens.parse(since);
    if (token.epoch === 'ours') await this.#resuming.sinceAway(answer, token);
    else await this.#resuming.sinceRestart(answer, token.givenAtMs);
    await this.#newlyShared(answer);
    inbox.noteFetched(inbox.deviceOf(request.deviceId), upTo);
    if (answer.events.length > 0) return { events: answer.events, token: this.#deps.tokens.encode(upTo) };
    if (!answer.isFiltered) inbox.setEquivalent(since, upTo);
    return { events: [], token: since };
  }

  /** Only users who are not offline, or have a status. */
  async #initial(answer: Answer): Promise<PresenceAnswer> {
    const upTo = answer.inbox.next();
    await forEachCandidate(this.#deps, answer.request.viewer, (subject) => this.#giveIfShown(answer, subject));
    answer.inbox.noteFetched(answer.inbox.deviceOf(answer.request.deviceId), upTo);
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
    answer.inbox.noteFetched(answer.inbox.deviceOf(answer.request.deviceId), found.number);
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
    if (sight !== 'denied') answer.give(subject, sight);
    // An update from before a denial is kept back; the loss that follows from the denial is on its way.
    else if (loss) answer.giveLoss(subject);
  }

  /** The answer that shows a join shows the presence gained by it, without waiting for anybody. */
  async #newlyShared(answer: Answer): Promise<void> {
    let count = 0;
    for (const subject of answer.request.newlyShared) {
      count += 1;
      if (count % 100 === 0) await breathe();
      if (answer.names(subject)) continue;
      const shown = this.#giveIfShown(answer, subject);
      if (shown) answer.inbox.noteGiven(subject, shown.shown);
    }
  }

  #giveIfShown(answer: Answer, subject: UserId): Sight | undefined {
    // Most members of a large room are not there: they are passed over before the policy is asked.
    if (!this.#isShownToAnybody(subject) || !answer.request.accepts(subject)) return undefined;
    const sight = this.#deps.sights.find(subject, answer.request.viewer);
    if (sight === 'denied' || isBlank(sight.shown)) return undefined;
    answer.give(subject, sight);
    return sight;
  }

  #isShownToAnybody(subject: UserId): boolean {
    const { tracker, remote, isLocal } = this.#deps;
    if (!isLocal(subject)) return remote.copiesOf(subject).length > 0;
    const presence = tracker.find(subject);
    return presence !== undefined && !isBlank(presence.shown);
  }
}
