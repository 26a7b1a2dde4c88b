import { z } from 'zod';
import { invalidParam, missingParam } from '../../../matrix/errors.ts';
import type { JsonObject } from '../../../matrix/pdu.ts';
import type { Pushers, PusherWish } from '../../../push/pushers.ts';
import type { ListNotifications } from '../../../sync/notifications.ts';
import { clientPath, Reply, type Route, userRoute, withAnyDevice, withDevice } from '../../route.ts';
import { jsonObject, optional, queryInteger, shortText } from '../../shapes.ts';

const appId = z.string().max(64, 'is longer than 64 characters');
const pushkey = z.string().refine((key) => Buffer.byteLength(key) <= 512, 'is longer than 512 bytes');
const setBody = z.object({
  kind: z.string().max(255).nullable(),
  app_id: appId,
  pushkey,
  app_display_name: optional(shortText),
  device_display_name: optional(shortText),
  profile_tag: optional(shortText),
  lang: optional(shortText),
  data: optional(jsonObject),
  append: optional(z.boolean()),
});

export interface PusherRoutesDeps {
  readonly pushers: Pushers;
  readonly listNotifications: ListNotifications;
}

const notificationsDefault = 20;
/** Whoever asks for more gets so many. */
const notificationsMax = 100;

/** Client-server API, "Push Notifications": pushers, and what the user was notified of. */
export function pusherRoutes({ pushers, listNotifications }: PusherRoutesDeps): Route[] {
  return [
    userRoute({
      method: 'GET',
      path: clientPath('/pushers'),
      handle: async ({ requester }) => ({ pushers: (await pushers.list(requester.userId)).map(present) }),
    }),
    userRoute({
      method: 'POST',
      path: clientPath('/pushers/set'),
      body: setBody,
      bodyBytesMax: 64 * 1024,
      handle: async ({ requester, body }) => {
        if (body.kind === null) await pushers.remove(requester.userId, body.app_id, body.pushkey);
        else await pushers.set(withDevice(requester), wishOf(body, body.kind), body.append ?? false);
        return {};
      },
    }),
    userRoute({
      method: 'GET',
      path: clientPath('/notifications'),
      query: z.object({
        from: z.string().optional(),
        limit: queryInteger(0, Number.MAX_SAFE_INTEGER)
          .default(notificationsDefault)
          .transform((limit) => Math.max(1, Math.min(limit, notificationsMax))),
        only: z.string().optional(),
      }),
      handle: async ({ requester, query: { from, limit, only } }) => {
        const request = { from, limit, onlyHighlights: only === 'highlight' };
        return new Reply(200, await listNotifications(withAnyDevice(requester), request));
      },
    }),
  ];
}

type SetBody = z.infer<typeof setBody>;

const required = ['app_display_name', 'device_display_name', 'lang', 'data'] as const;

function wishOf(body: SetBody, kind: string): PusherWish {
  const missing = required.filter((field) => body[field] === undefined);
  if (missing.length > 0) throw missingParam(`Missing parameters: ${missing.join(', ')}`);
  if (kind !== 'http') throw invalidParam('Only pushers of the kind "http" are known');
  const data = body.data ?? {};
  checkGateway(data.url);
  return {
    appId: body.app_id,
    pushkey: body.pushkey,
    kind,
    appDisplayName: body.app_display_name ?? '',
    deviceDisplayName: body.device_display_name ?? '',
    profileTag: body.profile_tag ?? null,
    lang: body.lang ?? '',
    data,
  };
}

/** "MUST be an HTTPS URL with a path of `/_matrix/push/v1/notify`." */
function checkGateway(url: unknown): void {
  if (url === undefined) throw missingParam("'data.url' is required");
  const parsed = typeof url === 'string' && URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.protocol !== 'https:' || parsed.pathname !== '/_matrix/push/v1/notify') {
    throw invalidParam("'data.url' is not an https URL with the path /_matrix/push/v1/notify");
  }
}

type Pusher = Awaited<ReturnType<Pushers['list']>>[number];

function present(pusher: Pusher): JsonObject {
  return {
    kind: pusher.kind,
    app_id: pusher.appId,
    pushkey: pusher.pushkey,
    app_display_name: pusher.appDisplayName,
    device_display_name: pusher.deviceDisplayName,
    ...(pusher.profileTag === null ? {} : { profile_tag: pusher.profileTag }),
    lang: pusher.lang,
    data: pusher.data,
  };
}
