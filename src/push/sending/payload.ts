import type { JsonObject } from '../../matrix/pdu.ts';
import type { PushAction } from '../../matrix/push-rules.ts';
import type { PusherRow } from '../../storage/contract/push.ts';

/** An event that somebody is notified of, as far as a gateway may be told. */
export interface PushedNews {
  readonly eventId: string;
  readonly roomId: string;
  readonly actions: readonly PushAction[];
  readonly highlights: boolean;
  /** In the client's form. */
  readonly event: JsonObject;
  readonly senderName: string | null;
  readonly roomName: string | null;
  readonly roomAlias: string | null;
  /** The event is about the membership of whoever is notified. */
  readonly userIsTarget: boolean;
}

/** Whether the gateway is to be told no more of an event than its id. */
export function isIdOnly({ data }: PusherRow): boolean {
  return data.format === 'event_id_only';
}

/** The body for `POST /_matrix/push/v1/notify` (push gateway API). */
export function encodePush(pusher: PusherRow, news: PushedNews, unread: number): JsonObject {
  const named = { event_id: news.eventId, room_id: news.roomId, prio: priorityOf(news), counts: { unread } };
  if (isIdOnly(pusher)) return { notification: { ...named, devices: [deviceOf(pusher)] } };
  const { type, sender, content } = news.event;
  return {
    notification: {
      ...named,
      type,
      sender,
      content,
      ...(news.senderName === null ? {} : { sender_display_name: news.senderName }),
      ...(news.roomName === null ? {} : { room_name: news.roomName }),
      ...(news.roomAlias === null ? {} : { room_alias: news.roomAlias }),
      ...(news.userIsTarget ? { user_is_target: true } : {}),
      devices: [{ ...deviceOf(pusher), tweaks: tweaksOf(news.actions) }],
    },
  };
}

/** "`event_id`: … This can be omitted if the notification … is sent in order to update … badge counts." */
export function encodeBadge(pusher: PusherRow, unread: number): JsonObject {
  return { notification: { counts: { unread }, devices: [deviceOf(pusher)] } };
}

/** "`data`: A dictionary of additional pusher-specific data. For `http` pushers, this is the data dictionary … minus the `url` key." */
function deviceOf({ appId, pushkey, createdAtMs, data: { url: _, ...data } }: PusherRow): JsonObject {
  return { app_id: appId, pushkey, pushkey_ts: Math.floor(createdAtMs / 1000), data };
}

function tweaksOf(actions: readonly PushAction[]): JsonObject {
  const tweaks: [string, unknown][] = [];
  for (const action of actions) {
    if (typeof action !== 'object' || typeof action.set_tweak !== 'string') continue;
    const { set_tweak: name, value } = action;
    // "If a `highlight` tweak is given with no value, its value is defined to be `true`."
    if (value !== undefined || name === 'highlight') tweaks.push([name, value ?? true]);
  }
  return Object.fromEntries(tweaks);
}

/** What rings or is set off is worth waking a phone; so may be what nobody but the client can read. */
function priorityOf({ actions, highlights, event }: PushedNews): 'high' | 'low' {
  const rings = actions.some((action) => typeof action === 'object' && action.set_tweak === 'sound');
  return highlights || rings || event.type === 'm.room.encrypted' ? 'high' : 'low';
}
