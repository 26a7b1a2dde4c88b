import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { systemDns } from '../base/network/dns.ts';
import { createOutgoingHttp, type OutgoingHttpClient } from '../base/network/outgoing-http.ts';
import type { OldKey } from '../federation-in/serve-keys.ts';
import { DestinationHealth } from '../federation-out/destination-health.ts';
import { createDiscovery } from '../federation-out/discovery.ts';
import { createNotaryQuery } from '../federation-out/key-requests.ts';
import { KeyRing } from '../federation-out/key-ring.ts';
import { createMediaRequests, type MediaRequests } from '../federation-out/media-requests.ts';
import { createNotaries, type Notary } from '../federation-out/notaries.ts';
import { createFederationRequests, createKeyFetch } from '../federation-out/requests.ts';
import type { FederationRequests } from '../federation-out/requests-contract.ts';
import { createSender } from '../federation-out/sender.ts';
import type { Sender } from '../federation-out/sender-contract.ts';
import type { Storage } from '../storage/contract/storage.ts';
import type { Config } from './config/shape.ts';
import { reasonOf, StartError } from './start-error.ts';
import type { Surroundings } from './surroundings.ts';

/** Everything that calls other servers. */
export interface Outgoing {
  readonly http: OutgoingHttpClient;
  readonly health: DestinationHealth;
  readonly keyRing: KeyRing;
  readonly requests: FederationRequests;
  readonly media: MediaRequests;
  readonly sender: Sender;
}

export function createOutgoing(surroundings: Surroundings, storage: Storage): Outgoing {
  const { config, clock, random, log, signer } = surroundings;
  const dns = systemDns;
  const http = createOutgoingHttp({
    clock,
    dns,
    allowPrivateAddresses: config.federation.allow_private_addresses,
    ...readAuthorities(config.federation.ca_file),
  });
  const discovery = createDiscovery({ http, dns, clock, random });
  const health = new DestinationHealth({ storage, clock, random, log });
  const keyRing: KeyRing = new KeyRing({
    serverName: config.server_name,
    ownKeys: [...readOldKeys(config), signer.key],
    fetchServerKeys: createKeyFetch({ discovery, http }),
    askNotaries: createNotaries({
      notaries: readNotaries(config),
      queryNotary: createNotaryQuery({ discovery, http }),
      getOwnersKey: (server, keyId, validAtMs) => keyRing.getOwnersKey(server, keyId, validAtMs),
      clock,
      log,
    }),
    storage,
    clock,
    random,
    log,
  });
  const calls = { signer, discovery, http, health, clock };
  const requests = createFederationRequests(calls);
  const skipped = surroundings.metrics.count({
    name: 'lantern_federation_skipped_total',
    help: 'Events and EDUs that another server refused for good, and that were not sent to it again.',
  });
  const sender = createSender({
    serverName: config.server_name,
    storage,
    requests,
    health,
    clock,
    random,
    log,
    skipped,
  });
  return { http, health, keyRing, requests, media: createMediaRequests(calls), sender };
}

/** Keys of this server that it no longer signs with. */
export function readOldKeys({ federation }: Config): OldKey[] {
  return federation.old_signing_keys.map(({ key_id, key, expired_ts }) => ({
    keyId: key_id,
    publicKey: key,
    expiredAtMs: expired_ts,
  }));
}

function readNotaries({ server_name, federation }: Config): Notary[] {
  return federation.notary_servers
    .filter((notary) => notary.server_name !== server_name)
    .map((notary) => ({
      server: notary.server_name,
      keys: notary.verify_keys === null ? undefined : new Map(Object.entries(notary.verify_keys)),
    }));
}

function readAuthorities(file: string | null): { extraCaPem?: string } {
  if (file === null) return {};
  try {
    const extraCaPem = readFileSync(file, 'utf8');
    // Throws for what holds no certificate, now and not with the first request.
    new X509Certificate(extraCaPem);
    return { extraCaPem };
  } catch (error) {
    const message = `${file}: holds no certificate authority that can be read (${reasonOf(error)}). Name a PEM file.`;
    throw new StartError(message, ['federation', 'ca_file']);
  }
}
