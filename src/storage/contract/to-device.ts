import type { DeviceId, UserId } from '../../matrix/ids.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Position } from './numbers.ts';

/** Messages that wait for one device. Of more the oldest are given up: nobody collects them any more. */
export const inboxMessagesMax = 20_000;

export interface DeviceName {
  readonly userId: UserId;
  readonly deviceId: DeviceId;
}

/** A message to one device, or to all that its user has. */
export interface ToDeviceMessage {
  readonly userId: UserId;
  /** Null: all of them. */
  readonly deviceId: DeviceId | null;
  /** The event as `/sync` tells it: JSON text. */
  readonly text: string;
}

export type ToDeviceTableRow =
  /** Takes one position for all of them, so no device is named twice. What is for devices that there are not is dropped. */
  | { kind: 'to_device'; messages: readonly ToDeviceMessage[] }
  /** The device has all up to here. */
  | { kind: 'to_device_collected'; userId: UserId; deviceId: DeviceId; upTo: Position }
  /** A message of another server was taken in. Forgotten after a month. */
  | { kind: 'to_device_received'; origin: ServerName; messageId: string; receivedAtMs: number };

export interface ToDeviceReads {
  /** What waits for a device with after < position ≤ upTo, oldest first. */
  listMessages(
    device: DeviceName,
    range: { readonly after: Position; readonly upTo: Position; readonly limit: number },
  ): Promise<{ position: Position; text: string }[]>;
  /** Which of these messages of another server were taken in before. */
  listReceived(origin: ServerName, messageIds: readonly string[]): Promise<Set<string>>;
}
