import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { systemDns } from '../base/dns.ts';
import { createOutgoingHttp, type OutgoingHttp } from '../base/outgoing-http.ts';
import { DestinationHealth } from '../federation-out/destination-health.ts';
import { createDiscovery } from '../federation-out/discovery.ts';
import { KeyRing } from '../federation-out/key-ring.ts';
import { createFederationRequests, createKeyFetch } from '../federation-out/requests.ts';
import type { FederationRequests } from '../federation-out/requests-contract.ts';
import { createSender } from '../federation-out/sender.ts';
import type { Sender } from '../federation-out/sender-contract.ts';
import type { Storage } from '../storage/contract/storage.ts';
import { reasonOf, StartError } from './start-error.ts';
import type { Surroundings } from './surroundings.ts';

/** Everything that calls other servers. */
export interface Outgoing {
  readonly http: OutgoingHttp;
  readonly health: DestinationHealth;
  readonly keyRing: KeyRing;
  readonly requests: FederationRequests;
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
  const keyRing = new KeyRing({
    serverName: config.server_name,
    ownKeys: [signer.key],
    fetchServerKeys: createKeyFetch({ discovery, http }),
    storage,
    clock,
    random,
    log,
  });
  const requests = createFederationRequests({ signer, discovery, http, health, clock });
  const sender = createSender({ serverName: config.server_name, storage, requests, health, clock, random, log });
  return { http, health, keyRing, requests, sender };
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
