import type { UserId } from '../../matrix/ids.ts';
import { isBlank, type Shown } from '../core/shown.ts';
import type { PresenceStatus } from '../types.ts';

/** Everything of an event but the end, which holds the hour: written once for all viewers of one update. */
const heads = new WeakMap<Shown, { readonly subject: UserId; readonly text: string }>();

/** `last_active_ago` is counted when the update is given out. Null: never active. */
export interface Sight {
  readonly shown: Shown;
  readonly lastActiveAgoMs: number | null;
}

/** The text of an `m.presence` event for a client. */
export function presenceEventText(subject: UserId, { shown, lastActiveAgoMs }: Sight): string {
  let head = heads.get(shown);
  if (head?.subject !== subject) {
    const status = shown.statusMsg === null ? '' : `,"status_msg":${JSON.stringify(shown.statusMsg)}`;
    const content = `"presence":"${shown.state}","currently_active":${shown.currentlyActive}${status}`;
    head = { subject, text: `{"type":"m.presence","sender":${JSON.stringify(subject)},"content":{${content}` };
    heads.set(shown, head);
  }
  return lastActiveAgoMs === null ? `${head.text}}}` : `${head.text},"last_active_ago":${lastActiveAgoMs}}}`;
}

/** The last that a viewer sees of somebody they may not see any more: no status message, no hour. */
export function bareOfflineText(subject: UserId): string {
  return `{"type":"m.presence","sender":${JSON.stringify(subject)},"content":{"presence":"offline"}}`;
}

/** The body of GET. A blank one says no more than that of a member never seen. */
export function presenceStatus(sight: Sight | undefined): PresenceStatus {
  if (!sight || (isBlank(sight.shown) && sight.lastActiveAgoMs === null)) return { presence: 'offline' };
  const { shown, lastActiveAgoMs } = sight;
  return {
    presence: shown.state,
    currently_active: shown.currentlyActive,
    ...(lastActiveAgoMs === null ? {} : { last_active_ago: lastActiveAgoMs }),
    ...(shown.statusMsg === null ? {} : { status_msg: shown.statusMsg }),
  };
}
