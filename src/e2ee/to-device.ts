import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import { isObject } from '../engine/members.ts';
import { badJson, serverUnavailable } from '../matrix/errors.ts';
import { type DeviceId, isUserId, serverOfUser, type UserId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { Expectation, Row } from '../storage/contract/commit.ts';
import type { Storage } from '../storage/contract/storage.ts';
import {
  type Addressed,
  checkSize,
  messageBytesMax,
  parseMessages,
  remoteMessages,
  toDeviceEvent,
} from './to-device-messages.ts';

export interface ToDeviceDeps {
  readonly storage: Pick<Storage, 'toDevice' | 'commit'>;
  readonly serverName: ServerName;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface SendToDevice {
  readonly sender: UserId;
  readonly deviceId: DeviceId;
  readonly type: string;
  readonly transactionId: string;
  /** User → device, or `*` for all → content, as the client wrote it. */
  readonly messages: JsonObject;
}

/** Client-server API, "Send-to-Device messaging". */
export interface ToDevice {
  /**
   * Stores what is for our devices and what goes to other servers, once for a device's transaction. Messages to devices that there are
   * not are lost. Throws M_BAD_JSON, M_TOO_LARGE; then nothing was sent.
   */
  send(request: SendToDevice): Promise<void>;
  /**
   * Contents of all `m.direct_to_device` of one transaction, in order, each once. Total: what is malformed, from somebody who is not
   * the origin's, or for others than our users is dropped.
   */
  receive(origin: ServerName, contents: readonly unknown[]): Promise<void>;
}

/** Of one request; clients send to a few hundred at once. */
const sentAtOnceMax = 10_000;
/** Of one EDU. */
const receivedAtOnceMax = 2_000;
const typeLengthMax = 255;
/** "maximum length 32 codepoints"; not everybody keeps to it. */
const messageIdLengthMax = 255;
const messageIdLength = 32;
const attemptsMax = 5;

export function createToDevice(deps: ToDeviceDeps): ToDevice {
  return {
    send: (request) => send(deps, request),
    receive: (origin, contents) => receive(deps, origin, contents),
  };
}

async function send(deps: ToDeviceDeps, request: SendToDevice): Promise<void> {
  const { sender, deviceId, type, transactionId } = request;
  const { addressed, refused } = parseMessages(request.messages, sentAtOnceMax);
  if (refused !== null) throw badJson(refused);
  const ours = addressed.filter(({ userId }) => serverOfUser(userId) === deps.serverName);
  const others = addressed.filter(({ userId }) => serverOfUser(userId) !== deps.serverName);
  const transaction = { userId: sender, deviceId, scope: `sendToDevice ${type}`, transactionId };
  for (const one of others) checkSize(toDeviceEvent(sender, type, one));
  const rows: Row[] = [
    ...inboxRows(sender, type, ours),
    ...remoteMessages(others).map(({ destination, messages }): Row => {
      const content = { sender, type, message_id: deps.random.token(messageIdLength), messages };
      return { kind: 'outgoing_edu', destination, key: null, edu: { edu_type: 'm.direct_to_device', content } };
    }),
    { kind: 'client_transaction', ...transaction, eventId: null, createdAtMs: deps.clock.now() },
  ];
  // A conflict says that this very transaction was sent before.
  await deps.storage.commit({ rows, expect: [{ kind: 'client_transaction_unused', ...transaction }] });
}

/** Devices that are named first, then those of whoever was named whole: a row has one message for a device. */
function inboxRows(sender: UserId, type: string, addressed: readonly Addressed[]): Row[] {
  const events = addressed.map((one) => toDeviceEvent(sender, type, one));
  for (const event of events) checkSize(event);
  const named = events.filter(({ deviceId }) => deviceId !== null);
  const whole = events.filter(({ deviceId }) => deviceId === null);
  return [named, whole].flatMap((messages): Row[] => (messages.length > 0 ? [{ kind: 'to_device', messages }] : []));
}

interface Received {
  readonly messageId: string;
  readonly rows: readonly Row[];
}

async function receive(deps: ToDeviceDeps, origin: ServerName, contents: readonly unknown[]): Promise<void> {
  const received = new Map<string, Received>();
  for (const content of contents) {
    const one = parseReceived(deps, origin, content);
    if (one === undefined) deps.log.info({ origin }, 'a message to devices is not one that this server may send');
    else if (!received.has(one.messageId)) received.set(one.messageId, one);
  }
  for (let attempt = 0; received.size > 0; attempt += 1) {
    if (attempt === attemptsMax) throw serverUnavailable('The messages to devices could not be stored');
    for (const known of await deps.storage.toDevice.listReceived(origin, [...received.keys()])) received.delete(known);
    if (received.size === 0 || (await keep(deps, origin, [...received.values()]))) return;
  }
}

/** In one commit, together with that they came. False: one of them came meanwhile. */
async function keep(deps: ToDeviceDeps, origin: ServerName, received: readonly Received[]): Promise<boolean> {
  const receivedAtMs = deps.clock.now();
  const rows = received.flatMap((one): Row[] => [
    ...one.rows,
    { kind: 'to_device_received', origin, messageId: one.messageId, receivedAtMs },
  ]);
  const expect = received.map(({ messageId }): Expectation => ({ kind: 'to_device_unseen', origin, messageId }));
  // The other server forgets them with our answer.
  const result = await deps.storage.commit({ rows, expect, durable: true });
  return result.outcome === 'committed';
}

function parseReceived(deps: ToDeviceDeps, origin: ServerName, content: unknown): Received | undefined {
  if (!isObject(content)) return undefined;
  const { sender, type, message_id: messageId } = content;
  if (!isUserId(sender) || serverOfUser(sender) !== origin) return undefined;
  if (typeof type !== 'string' || type.length > typeLengthMax) return undefined;
  if (typeof messageId !== 'string' || messageId.length > messageIdLengthMax) return undefined;
  const { addressed } = parseMessages(content.messages, receivedAtOnceMax);
  const ours = addressed.filter((one) => {
    if (serverOfUser(one.userId) !== deps.serverName) return false;
    return Buffer.byteLength(toDeviceEvent(sender, type, one).text) <= messageBytesMax;
  });
  return { messageId, rows: inboxRows(sender, type, ours) };
}
