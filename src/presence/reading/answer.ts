import type { UserId } from '../../matrix/ids.ts';
import type { PresenceRequest } from '../types.ts';
import type { Inbox } from './inbox.ts';
import { bareOfflineText, presenceEventText, type Sight } from './render.ts';

/** The events of one answer of `/sync`: each subject once, and only whom the filter lets in. */
export class Answer {
  readonly request: PresenceRequest;
  readonly inbox: Inbox;
  readonly events: string[] = [];
  readonly #named = new Set<UserId>();
  #isFiltered = false;

  constructor(request: PresenceRequest, inbox: Inbox) {
    this.request = request;
    this.inbox = inbox;
  }

  /** Somebody was left out who would have been named; another filter may want them. */
  get isFiltered(): boolean {
    return this.#isFiltered;
  }

  names(subject: UserId): boolean {
    return this.#named.has(subject);
  }

  give(subject: UserId, sight: Sight): void {
    if (this.#mayName(subject)) this.events.push(presenceEventText(subject, sight));
  }

  giveLoss(subject: UserId): void {
    if (this.#mayName(subject)) this.events.push(bareOfflineText(subject));
  }

  #mayName(subject: UserId): boolean {
    if (this.#named.has(subject)) return false;
    if (!this.request.accepts(subject)) {
      this.#isFiltered = true;
      return false;
    }
    this.#named.add(subject);
    return true;
  }
}
