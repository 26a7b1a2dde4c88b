import { type Accounts, createAccounts } from '../accounts/accounts.ts';
import type { FeedOfCommits } from '../feed/change-feed.ts';
import { pushRulesType } from '../matrix/push-rules.ts';
import type { Presence } from '../presence/types.ts';
import { presentPushRules } from '../push/rules.ts';
import type { Storage } from '../storage/contract/storage.ts';
import { rateLimitsOf } from './config/rate-limits.ts';
import { isRegistrationOpen } from './config/shape.ts';
import type { Outgoing } from './outgoing.ts';
import type { ServiceParts } from './service-parts.ts';
import type { Surroundings } from './surroundings.ts';

interface AccountNeighbours {
  readonly storage: Storage;
  readonly feed: FeedOfCommits;
  readonly outgoing: Outgoing;
  readonly services: Pick<ServiceParts, 'asking'>;
  readonly presence: Pick<Presence, 'checkAccountData' | 'rowsForDeactivation'>;
}

/** Accounts with the settings of the configuration. */
export function createAccountsOf(surroundings: Surroundings, neighbours: AccountNeighbours): Accounts {
  const { config, clock, random, log, passwordCost, services } = surroundings;
  const { storage, feed, outgoing, presence } = neighbours;
  const { asking } = neighbours.services;
  return createAccounts({
    storage,
    feed,
    serverName: config.server_name,
    registrationOpen: () => isRegistrationOpen(config),
    registrationSharedSecret: config.registration_shared_secret,
    isExclusive: (userId) => services.isUserExclusive(userId),
    askForUser: asking.askForUser,
    queryRemoteProfile: outgoing.requests.queryProfile,
    checkAccountData: presence.checkAccountData,
    rowsForDeactivation: presence.rowsForDeactivation,
    presentAccountData: (userId, type, stored) => (type === pushRulesType ? presentPushRules(userId, stored) : stored),
    clock,
    random,
    log,
    ...(passwordCost ? { passwordCost } : {}),
    failedLoginsPerMinute: rateLimitsOf(config).failedLogins,
    tokenLifetimes: {
      refreshableMs: config.tokens.refreshable_ms,
      nonRefreshableMs: config.tokens.non_refreshable_ms,
      refreshTokenMs: config.tokens.refresh_token_ms,
    },
  });
}
