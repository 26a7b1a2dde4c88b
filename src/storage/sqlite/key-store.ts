import type { CrossSigningTableRow } from '../contract/cross-signing.ts';
import type { DeviceKeyTableRow } from '../contract/device-keys.ts';
import type { DeviceListTableRow } from '../contract/device-lists.ts';
import type { OneTimeKeyTableRow } from '../contract/one-time-keys.ts';
import type { Storage } from '../contract/storage.ts';
import type { Connection } from './core/database.ts';
import type { Turn } from './core/turn.ts';
import type { RowKind, Writes } from './core/writes.ts';
import { createCrossSigningReads, createCrossSigningWrites } from './cross-signing.ts';
import { createDeviceKeyReads, createDeviceKeyWrites, createKeyRemoval, type KeyRemoval } from './device-keys.ts';
import { createDeviceListMarks, createDeviceListReads, createDeviceListWrites } from './device-lists.ts';
import { createOneTimeKeyReads, createOneTimeKeyWrites } from './one-time-keys.ts';
import { createRemoteDeviceListReads, createRemoteDeviceListWrites } from './remote-device-lists.ts';

type KeyRow = CrossSigningTableRow | DeviceKeyTableRow | DeviceListTableRow | OneTimeKeyTableRow;

/** The tables of public keys, and of whose changed. */
export interface KeyStore {
  readonly rows: Writes<Extract<RowKind, KeyRow['kind']>>;
  readonly removal: KeyRemoval;
}

export function createKeyStore(connection: Connection): KeyStore {
  const marks = createDeviceListMarks(connection);
  return {
    rows: {
      ...createCrossSigningWrites(connection),
      ...createDeviceKeyWrites(connection),
      ...createDeviceListWrites(connection, marks),
      ...createOneTimeKeyWrites(connection),
      ...createRemoteDeviceListWrites(connection),
    },
    removal: createKeyRemoval(connection, marks),
  };
}

export function createKeyReads(
  connection: Connection,
  turn: Turn,
): Pick<Storage, 'crossSigning' | 'deviceKeys' | 'deviceLists' | 'oneTimeKeys'> {
  return {
    crossSigning: createCrossSigningReads(connection, turn),
    deviceKeys: createDeviceKeyReads(connection, turn),
    deviceLists: { ...createDeviceListReads(connection, turn), ...createRemoteDeviceListReads(connection, turn) },
    oneTimeKeys: createOneTimeKeyReads(connection, turn),
  };
}
