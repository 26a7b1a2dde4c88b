import type { Clock } from '../../base/clock.ts';
import type { UserId } from '../../matrix/ids.ts';
import type { Copy } from '../core/copies.ts';
import { shownOffline } from '../core/shown.ts';
import type { LocalSubjects, RemoteSubjects } from '../core/subjects.ts';
import { maySee, type PolicyFacts, reaches } from '../policy.ts';
import type { PresenceSettings } from '../settings.ts';
import type { Sight } from './render.ts';

export interface SightDeps {
  tracker: Pick<LocalSubjects, 'find'>;
  remote: Pick<RemoteSubjects, 'findVisible'>;
  facts: PolicyFacts;
  clock: Clock;
  settings: Pick<PresenceSettings, 'enabled' | 'inbound'>;
  isLocal(userId: UserId): boolean;
}

/** Answers for one viewer and one subject, local or remote. There is no other way to read anybody's presence. */
export class Sights {
  readonly #deps: SightDeps;

  constructor(deps: SightDeps) {
    this.#deps = deps;
  }

  /** What the viewer is given of the subject now; `denied` for whoever is not in the audience, or holds nothing of a remote one. */
  find(subject: UserId, viewer: UserId): Sight | 'denied' {
    return this.#find(subject, viewer, reaches);
  }

  /** What the viewer gets who asks for the subject, and so need not want to be told unasked. */
  findForGet(subject: UserId, viewer: UserId): Sight | 'denied' {
    return this.#find(subject, viewer, maySee);
  }

  #find(subject: UserId, viewer: UserId, isLetIn: typeof maySee): Sight | 'denied' {
    const { tracker, remote, settings, isLocal } = this.#deps;
    if (!settings.enabled) return 'denied';
    if (!isLocal(subject)) {
      const copy = settings.inbound ? remote.findVisible(subject, viewer) : undefined;
      return copy ? this.#ofCopy(copy) : 'denied';
    }
    if (!isLetIn(subject, viewer, this.#deps.facts)) return 'denied';
    const presence = tracker.find(subject);
    if (!presence) return { shown: shownOffline, lastActiveAgoMs: null };
    return { shown: presence.shown, lastActiveAgoMs: this.#ago(presence.activeAt) };
  }

  #ofCopy(copy: Copy): Sight {
    return { shown: copy.shown, lastActiveAgoMs: this.#ago(copy.activeAt) };
  }

  #ago(activeAt: number | null): number | null {
    return activeAt === null ? null : Math.max(0, Math.round(this.#deps.clock.monotonic() - activeAt));
  }
}
