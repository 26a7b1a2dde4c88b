import type { JsonObject } from '../../matrix/pdu.ts';
import type { ServerName } from '../../matrix/server-name.ts';

/** A verification key of another server (server-server API, "Publishing Keys"). */
export interface ServerKeyRow {
  server: ServerName;
  keyId: string;
  /** Unpadded base64 of the 32 bytes. */
  publicKey: string;
  /** The key may be used to verify what was signed up to here. */
  validUntilMs: number;
  fetchedAtMs: number;
}

/** What a server publishes of its keys, as it signed it. */
export interface PublishedKeys {
  server: ServerName;
  answer: JsonObject;
  fetchedAtMs: number;
}

export type FederationTableRow =
  | ({ kind: 'server_key' } & ServerKeyRow)
  /** Replaces what the server published before. */
  | ({ kind: 'published_keys' } & PublishedKeys)
  /** Our answer to a transaction, so that the same one arriving again gets it again. Pruned after a week. */
  | {
      kind: 'received_transaction';
      origin: ServerName;
      transactionId: string;
      answer: JsonObject;
      receivedAtMs: number;
    };

export interface FederationReads {
  listServerKeys(server: ServerName): Promise<ServerKeyRow[]>;
  /** In no order; servers that never answered are left out. */
  listPublishedKeys(servers: readonly ServerName[]): Promise<PublishedKeys[]>;
  findReceivedTransaction(origin: ServerName, transactionId: string): Promise<JsonObject | undefined>;
}
