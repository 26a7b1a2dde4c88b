import type { PresenceSettings } from '../settings.ts';
import type { PresenceAnswer, PresencePoll, PresenceRequest, SyncBegin } from '../types.ts';
import type { DeviceOfViewer, Inbox, Inboxes } from './inbox.ts';
import type { Reader } from './reader.ts';

export interface DevicePollDeps {
  readonly inboxes: Pick<Inboxes, 'open'>;
  readonly reader: Pick<Reader, 'mayTell' | 'readNow'>;
  readonly tracker: SyncTracker;
  readonly settings: Pick<PresenceSettings, 'enabled'>;
}

/** Both ends of every sync, for the user's own presence. */
export interface SyncTracker {
  begin(sync: SyncBegin): void;
  /** Once for each `begin`, of the same. */
  end(sync: SyncBegin): void;
}

/** One sync of a device: begins as it is made. What it asks of again and again it has looked up once; an inbox stays open while somebody polls. */
export class DevicePoll implements PresencePoll {
  readonly #deps: DevicePollDeps;
  readonly #sync: SyncBegin;
  readonly #inbox: Inbox;
  readonly #device: DeviceOfViewer;
  #isOpen = true;

  constructor(deps: DevicePollDeps, sync: SyncBegin) {
    this.#deps = deps;
    this.#sync = sync;
    this.#inbox = deps.inboxes.open(sync.userId);
    this.#device = this.#inbox.beginPoll(sync.deviceId);
    if (deps.settings.enabled) deps.tracker.begin(sync);
  }

  mayTell(since: string): boolean {
    return this.#deps.reader.mayTell(this.#inbox, this.#device, since);
  }

  readNow(request: PresenceRequest): PresenceAnswer | undefined {
    return this.#deps.reader.readNow(this.#inbox, this.#device, request);
  }

  end(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#inbox.endPoll(this.#device);
    if (this.#deps.settings.enabled) this.#deps.tracker.end(this.#sync);
  }
}
