import { type CheckAccountData, singleRow } from '../../src/accounts/account-data.ts';
import type { Accounts } from '../../src/accounts/accounts.ts';
import { createAccounts } from '../../src/accounts/accounts.ts';
import type { TokenLifetimes } from '../../src/accounts/tokens.ts';
import { noActing } from '../../src/appservices/acting.ts';
import { silentLog } from '../../src/base/log.ts';
import { systemRandom } from '../../src/base/random.ts';
import type { FederationRequests } from '../../src/federation-out/requests-contract.ts';
import { createHttpApp } from '../../src/http/app.ts';
import { accountRoutes } from '../../src/http/client/account/account.ts';
import { accountDataRoutes } from '../../src/http/client/account/account-data.ts';
import { deviceRoutes } from '../../src/http/client/account/devices.ts';
import { loginRoutes } from '../../src/http/client/account/login.ts';
import { openIdRoutes } from '../../src/http/client/account/openid.ts';
import { profileRoutes } from '../../src/http/client/account/profile.ts';
import { refreshRoutes } from '../../src/http/client/account/refresh.ts';
import { registerRoutes } from '../../src/http/client/account/register.ts';
import { tagRoutes } from '../../src/http/client/account/tags.ts';
import { thirdPartyIdRoutes } from '../../src/http/client/account/third-party-ids.ts';
import { capabilitiesRoutes } from '../../src/http/client/capabilities.ts';
import { filterRoutes } from '../../src/http/client/filters.ts';
import { versionsRoutes } from '../../src/http/client/versions.ts';
import { wellKnownClientRoutes } from '../../src/http/client/well-known.ts';
import { openIdUserinfoRoutes } from '../../src/http/federation/openid.ts';
import { listen } from '../../src/http/listen.ts';
import { createRateLimits, type RateLimitSettings } from '../../src/http/rate-limits.ts';
import { unauthorized } from '../../src/matrix/errors.ts';
import type { ServerName } from '../../src/matrix/server-name.ts';
import type { CommitListener } from '../../src/storage/contract/commit.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { openTestStorage } from '../support/storage.ts';

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape.
  readonly body: any;
}

export interface AccountServer {
  readonly url: string;
  readonly accounts: Accounts;
  readonly storage: Storage;
  readonly clock: ManualClock;
  /** `path` behind `/_matrix/client/v3`, or a whole one that starts with `/_matrix` or `/.well-known`. */
  call(method: string, path: string, options?: { token?: string; body?: unknown }): Promise<Answer>;
  /** Registers with the password `secret`. */
  register(username: string): Promise<{ userId: string; deviceId: string; token: string }>;
  stop(): Promise<void>;
}

export interface AccountServerOptions {
  registrationOpen?: () => boolean;
  isExclusive?: (userId: string) => boolean;
  baseUrl?: string;
  checkAccountData?: CheckAccountData;
  queryRemoteProfile?: FederationRequests['queryProfile'];
  tokenLifetimes?: Partial<TokenLifetimes>;
  failedLoginsPerMinute?: number;
  rateLimits?: Partial<RateLimitSettings>;
}

/** The account routes over HTTP with real storage in memory. */
export async function startAccountServer(options: AccountServerOptions = {}): Promise<AccountServer> {
  const clock = new ManualClock();
  const storage = await openTestStorage(clock);
  const listeners: CommitListener[] = [];
  storage.onCommit((changes) => {
    for (const listener of listeners) listener(changes);
  });
  const accounts = createAccounts({
    storage,
    feed: { onChanges: (listener) => void listeners.push(listener) },
    serverName: 'a.test' as ServerName,
    registrationOpen: options.registrationOpen ?? (() => true),
    isExclusive: options.isExclusive ?? (() => false),
    queryRemoteProfile: options.queryRemoteProfile ?? (() => Promise.reject(new Error('no other server expected'))),
    checkAccountData: options.checkAccountData ?? (async (...row) => singleRow(...row)),
    clock,
    random: systemRandom,
    log: silentLog,
    passwordCost: { memoryKib: 8, passes: 1 },
    failedLoginsPerMinute: options.failedLoginsPerMinute ?? null,
    tokenLifetimes: {
      refreshableMs: 60_000,
      nonRefreshableMs: null,
      refreshTokenMs: null,
      ...options.tokenLifetimes,
    },
  });
  const baseUrl = options.baseUrl ?? null;
  const app = createHttpApp({
    routes: [
      ...versionsRoutes(),
      ...wellKnownClientRoutes({ baseUrl }),
      ...capabilitiesRoutes({ listRoomVersions: () => ({ default: '11', available: { '11': 'stable' } }) }),
      ...registerRoutes({ accounts, services: noActing }),
      ...loginRoutes({ accounts, services: noActing, hasServices: false, baseUrl }),
      ...refreshRoutes({ accounts }),
      ...accountRoutes({ accounts, deactivation: accounts.credentials }),
      ...thirdPartyIdRoutes(),
      ...openIdRoutes({ accounts, serverName: 'a.test' as ServerName }),
      ...openIdUserinfoRoutes({ accounts }),
      ...deviceRoutes({ accounts }),
      ...profileRoutes({ accounts }),
      ...accountDataRoutes({ accounts }),
      ...tagRoutes({ accounts }),
      ...filterRoutes({ accounts }),
    ],
    listener: 'both',
    rateLimits: createRateLimits({
      clock,
      perMinute: {
        registrations: null,
        logins: null,
        messages: null,
        toDevice: null,
        joins: null,
        invites: null,
        uploads: null,
        previews: null,
        ...options.rateLimits,
      },
    }),
    authenticate: accounts.authenticate,
    verifyServer: async () => {
      throw unauthorized('no server expected');
    },
    onSeen: ({ userId, deviceId }, ip) => accounts.devices.touch(userId, deviceId, ip),
    clock,
    random: systemRandom,
    log: silentLog,
  });
  const listening = await listen({ address: '127.0.0.1', port: 0, listener: app.listener });

  const call: AccountServer['call'] = async (method, path, { token, body } = {}) => {
    const full = path.startsWith('/_matrix') || path.startsWith('/.well-known') ? path : `/_matrix/client/v3${path}`;
    const response = await fetch(`${listening.url}${full}`, {
      method,
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  };

  return {
    url: listening.url,
    accounts,
    storage,
    clock,
    call,
    async register(username) {
      const { status, body } = await call('POST', '/register', {
        body: { username, password: 'secret', auth: { type: 'm.login.dummy' } },
      });
      if (status !== 200) throw new Error(`could not register ${username}: ${JSON.stringify(body)}`);
      return { userId: body.user_id, deviceId: body.device_id, token: body.access_token };
    },
    async stop() {
      await listening.stop();
      await accounts.stop();
      await storage.stop();
    },
  };
}

/** The `auth` of a request that a password allows. */
export function passwordAuth(user: string, password = 'secret', session?: string): Record<string, unknown> {
  return {
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user },
    password,
    ...(session === undefined ? {} : { session }),
  };
}
