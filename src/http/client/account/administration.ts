import { z } from 'zod';
import type { Accounts } from '../../../accounts/accounts.ts';
import { forbidden, notFound } from '../../../matrix/errors.ts';
import { serverOfUser, type UserId } from '../../../matrix/ids.ts';
import type { Reporting } from '../../../operations/reporting.ts';
import type { NoticeRequest, ServerNotices } from '../../../operations/server-notices.ts';
import { clientPath, openRoute, type Route, userRoute, withAnyDevice } from '../../route.ts';
import { jsonObject, optional, queryInteger, shortText, userId } from '../../shapes.ts';
import { presentGrant } from './refresh.ts';

export interface AdministrationDeps {
  readonly accounts: Pick<Accounts, 'sharedSecretRegistration' | 'isAdmin' | 'devices'>;
  readonly reporting: Reporting;
  readonly serverNotices: ServerNotices;
}

const reportsDefault = 100;
const reportsMax = 1_000;

const notice = z.object({
  user_id: userId,
  content: jsonObject,
  type: optional(shortText),
  state_key: optional(z.string()),
});

/**
 * What administrators call. The specification has one such endpoint ("Server Administration"); the others are at the paths and in the
 * shapes of Synapse's admin API, which tools speak already.
 */
export function administrationRoutes({ accounts, reporting, serverNotices }: AdministrationDeps): Route[] {
  const checkAdmin = async (caller: UserId): Promise<void> => {
    if (!(await accounts.isAdmin(caller))) throw forbidden('You are not an administrator of this server');
  };
  const sendNotice = async (body: z.infer<typeof notice>, transaction?: NoticeRequest['transaction']) => {
    const { user_id: to, content, type = 'm.room.message', state_key: stateKey } = body;
    return { event_id: await serverNotices.send({ to, type, stateKey, content, transaction }) };
  };
  return [
    userRoute({
      method: 'POST',
      path: '/_synapse/admin/v1/send_server_notice',
      body: notice,
      checkCaller: checkAdmin,
      handle: ({ body }) => sendNotice(body),
    }),
    userRoute({
      method: 'PUT',
      path: '/_synapse/admin/v1/send_server_notice/:transactionId',
      params: z.object({ transactionId: shortText }),
      body: notice,
      checkCaller: checkAdmin,
      handle: ({ requester, params, body }) => {
        const { userId: caller, deviceId } = withAnyDevice(requester);
        const scope = `send_server_notice ${caller}`;
        return sendNotice(body, { deviceId, scope, transactionId: params.transactionId });
      },
    }),
    openRoute({
      method: 'GET',
      path: '/_synapse/admin/v1/register',
      counts: 'registrations',
      handle: async () => ({ nonce: accounts.sharedSecretRegistration.createNonce() }),
    }),
    openRoute({
      method: 'POST',
      path: '/_synapse/admin/v1/register',
      counts: 'registrations',
      body: z.object({
        nonce: z.string(),
        username: z.string(),
        password: z.string(),
        displayname: optional(z.string()),
        admin: optional(z.boolean()),
        mac: z.string(),
      }),
      handle: async ({ body }) => {
        const { displayname, admin, ...request } = body;
        const registered = await accounts.sharedSecretRegistration.register({
          ...request,
          displayName: displayname,
          admin: admin ?? false,
        });
        const { userId: user, signedIn } = registered;
        return {
          user_id: user,
          home_server: serverOfUser(user),
          ...presentGrant(signedIn.grant),
          device_id: signedIn.deviceId,
        };
      },
    }),
    userRoute({
      method: 'GET',
      path: clientPath('/admin/whois/:userId'),
      params: z.object({ userId }),
      handle: async ({ requester, params }) => {
        // "only be called by the user being looked up, or by a server admin".
        if (requester.userId !== params.userId) await checkAdmin(requester.userId);
        return whois(params.userId, await accounts.devices.list(params.userId));
      },
    }),
    userRoute({
      method: 'GET',
      path: '/_synapse/admin/v1/event_reports',
      checkCaller: checkAdmin,
      query: z.object({
        from: optional(queryInteger(0, Number.MAX_SAFE_INTEGER)),
        limit: queryInteger(1, Number.MAX_SAFE_INTEGER)
          .default(reportsDefault)
          .transform((value) => Math.min(value, reportsMax)),
      }),
      handle: async ({ query }) => {
        const { reports, total } = await reporting.listReports(query.from ?? null, query.limit);
        const last = reports.at(-1);
        return {
          event_reports: reports.map(({ number, reporter, subject, reason, receivedAtMs }) => ({
            id: number,
            received_ts: receivedAtMs,
            user_id: reporter,
            room_id: subject.roomId,
            event_id: subject.eventId,
            reported_user_id: subject.userId,
            reason,
          })),
          total,
          ...(last && reports.length === query.limit ? { next_token: last.number } : {}),
        };
      },
    }),
  ];
}

function whois(user: UserId, devices: Awaited<ReturnType<Accounts['devices']['list']>>) {
  if (devices.length === 0) throw notFound('This user has no devices here');
  return {
    user_id: user,
    devices: Object.fromEntries(
      devices.map((device) => [
        device.deviceId,
        { sessions: [{ connections: [{ ip: device.lastSeenIp, last_seen: device.lastSeenAtMs, user_agent: null }] }] },
      ]),
    ),
  };
}
