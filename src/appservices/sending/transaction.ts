import type { DeviceName } from '../../storage/contract/to-device.ts';
import type { Registration } from '../registration.ts';

/** The parts of a transaction, JSON texts each. */
export interface TransactionParts {
  readonly events?: readonly string[];
  readonly ephemeral?: readonly string[];
  readonly toDevice?: readonly string[];
}

/** The body of `PUT /_matrix/app/v1/transactions/{txnId}` (application service API, "Pushing events"; to-device by MSC2409, now MSC4203). */
export function transactionText(
  { knowsProposalOnly }: Pick<Registration, 'knowsProposalOnly'>,
  { events = [], ephemeral = [], toDevice = [] }: TransactionParts,
): string {
  const lists: [string, readonly string[]][] = [['events', events]];
  // "This property can be omitted if it would be empty."
  if (ephemeral.length > 0) lists.push([knowsProposalOnly ? 'de.sorunome.msc2409.ephemeral' : 'ephemeral', ephemeral]);
  // The proposal is not merged, and most services know the name that it has until then.
  if (toDevice.length > 0) lists.push(['to_device', toDevice], ['de.sorunome.msc2409.to_device', toDevice]);
  return `{${lists.map(([name, texts]) => `"${name}":[${texts.join(',')}]`).join(',')}}`;
}

/** `text`: the event as `/sync` tells it, which says nothing of whom it is for. */
export function encodeToDevice({ userId, deviceId }: DeviceName, text: string): string {
  const to = `"to_user_id":${JSON.stringify(userId)},"to_device_id":${JSON.stringify(deviceId)}`;
  return `{${to},${text.slice(1)}`;
}
