import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import { RateLimit } from '../base/rate-limit.ts';
import { Background } from '../base/tasks/background.ts';
import type { FederationRequests } from '../federation-out/requests-contract.ts';
import type { Feed } from '../feed/feed.ts';
import type { UserId } from '../matrix/ids.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { Row } from '../storage/contract/commit.ts';
import type { Storage } from '../storage/contract/storage.ts';
import { type AccountData, type CheckAccountData, createAccountData, type PresentAccountData } from './account-data.ts';
import { type Credentials, createCredentials } from './credentials.ts';
import { createDevices, type Devices } from './devices.ts';
import { createFilters, type Filters } from './filters.ts';
import { resolveLocalUser } from './identifier.ts';
import { createInOrder } from './in-order.ts';
import { createInteractiveAuth, type InteractiveAuth } from './interactive-auth.ts';
import { createLogin, type Login } from './login.ts';
import { createPasswords, defaultPasswordCost, type PasswordCost } from './passwords.ts';
import { createProfiles, type Profiles } from './profiles.ts';
import { createRegistration, type Registration } from './registration.ts';
import { createSharedSecretRegistration, type SharedSecretRegistration } from './shared-secret.ts';
import { createShortTokens, type ShortTokens } from './short-tokens.ts';
import { createSignOuts, type SignOuts } from './sign-outs.ts';
import { createTags, type Tags } from './tags.ts';
import { createTokens, type Grant, type TokenLifetimes, type TokenOwner } from './tokens.ts';

export interface AccountsDeps {
  readonly storage: Pick<Storage, 'accounts' | 'accountData' | 'commit'>;
  /** Told of commits: what ends a token is forgotten before the ending is acknowledged. */
  readonly feed: Pick<Feed, 'onChanges'>;
  readonly serverName: ServerName;
  readonly registrationOpen: () => boolean;
  /** Who knows it may make accounts; nobody where it is null or not given. */
  readonly registrationSharedSecret?: string | null;
  /** User ids that only an application service may register; nobody's when not given. */
  readonly isExclusive?: (userId: UserId) => boolean;
  readonly queryRemoteProfile: FederationRequests['queryProfile'];
  /** Asks whoever makes users when they are looked for; true when this one is there now. Nobody when not given. */
  readonly askForUser?: (userId: UserId) => Promise<boolean>;
  readonly checkAccountData: CheckAccountData;
  /** What must be durable together with the end of an account; nothing when not given. */
  readonly rowsForDeactivation?: (userId: UserId) => Promise<readonly Row[]>;
  /** As it is stored when not given. */
  readonly presentAccountData?: PresentAccountData;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly passwordCost?: PasswordCost;
  readonly tokenLifetimes: TokenLifetimes;
  /** Wrong passwords of one user in a minute, at logins and elsewhere; null: any number. */
  readonly failedLoginsPerMinute: number | null;
}

/** All that local users have: their accounts, devices, profiles, settings. */
export interface Accounts {
  readonly registration: Registration;
  readonly sharedSecretRegistration: SharedSecretRegistration;
  readonly login: Login;
  /** For signing another device in; each is good once. */
  readonly loginTokens: Pick<ShortTokens, 'create'>;
  /** For services that want to know who somebody is. */
  readonly openIdTokens: Pick<ShortTokens, 'create' | 'find'>;
  readonly interactiveAuth: InteractiveAuth;
  readonly credentials: Credentials;
  readonly devices: Devices;
  readonly profiles: Profiles;
  readonly accountData: AccountData;
  readonly tags: Tags;
  readonly filters: Filters;
  /** Whose access token this is; undefined when nobody's. Throws M_UNKNOWN_TOKEN with `soft_logout` for one that expired. */
  authenticate(token: string): TokenOwner | undefined | Promise<TokenOwner | undefined>;
  isAdmin(userId: UserId): Promise<boolean>;
  readonly signOuts: Pick<SignOuts, 'watch' | 'unwatch'>;
  /** New tokens for a refresh token. Throws M_UNKNOWN_TOKEN. */
  refresh(refreshToken: string): Promise<Grant>;
  /** Waits for what is still being written down. Before storage stops. */
  stop(): Promise<void>;
}

/** "120000 (2 minutes) is recommended as a default" (client-server API, "POST /login/get_token"). */
const loginTokenMs = 120_000;
const openIdTokenMs = 3_600_000;

export function createAccounts(deps: AccountsDeps): Accounts {
  const { storage, clock, random, log, serverName } = deps;
  const inOrder = createInOrder();
  const background = new Background({ log, tasksMax: 1_000 });
  const passwords = createPasswords(deps.passwordCost ?? defaultPasswordCost);
  const tokens = createTokens({ storage, lifetimes: deps.tokenLifetimes, random, clock });
  deps.feed.onChanges(tokens.onChanges);
  const signOuts = createSignOuts();
  deps.feed.onChanges(signOuts.onChanges);
  const loginTokens = createShortTokens({ clock, random, lifetimeMs: loginTokenMs });
  deps.feed.onChanges(loginTokens.onChanges);
  const openIdTokens = createShortTokens({ clock, random, lifetimeMs: openIdTokenMs });
  deps.feed.onChanges(openIdTokens.onChanges);
  const failedLogins =
    deps.failedLoginsPerMinute === null
      ? null
      : new RateLimit({ clock, points: deps.failedLoginsPerMinute, windowMs: 60_000 });
  const login = createLogin({
    storage,
    serverName,
    passwords,
    tokens,
    loginTokens,
    failedLogins,
    inOrder,
    clock,
    random,
  });
  const interactiveAuth = createInteractiveAuth({
    clock,
    random,
    resolveUser: (user) => resolveLocalUser(user, serverName),
    isPassword: login.isPassword,
  });
  const accountData = createAccountData({
    storage,
    checkAccountData: deps.checkAccountData,
    presentAccountData: deps.presentAccountData ?? ((_userId, _type, stored) => stored),
    inOrder,
  });
  const registration = createRegistration({
    storage,
    serverName,
    registrationOpen: deps.registrationOpen,
    isExclusive: deps.isExclusive ?? (() => false),
    passwords,
    interactiveAuth,
    tokens,
    inOrder,
    clock,
    random,
  });
  const secret = deps.registrationSharedSecret ?? null;
  return {
    login,
    loginTokens,
    openIdTokens,
    interactiveAuth,
    accountData,
    registration,
    sharedSecretRegistration: createSharedSecretRegistration({ secret, registration, clock, random }),
    isAdmin: (userId) => storage.accounts.isAdmin(userId),
    credentials: createCredentials({
      storage,
      passwords,
      inOrder,
      clock,
      rowsForDeactivation: deps.rowsForDeactivation ?? (async () => []),
    }),
    devices: createDevices({ storage, inOrder, background, clock }),
    profiles: createProfiles({
      storage,
      serverName,
      queryRemoteProfile: deps.queryRemoteProfile,
      askForUser: deps.askForUser ?? (async () => false),
      inOrder,
    }),
    tags: createTags({ storage, accountData }),
    filters: createFilters({ storage }),
    authenticate: tokens.findOwner,
    signOuts,
    refresh: tokens.refresh,
    stop: () => background.stop(),
  };
}
