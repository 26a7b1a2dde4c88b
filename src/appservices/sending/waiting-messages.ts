import type { Position } from '../../storage/contract/numbers.ts';
import type { ServiceReads, ServiceTransaction } from '../../storage/contract/services.ts';
import type { DeviceName } from '../../storage/contract/to-device.ts';
import { encodeToDevice } from './transaction.ts';

/** Messages of one transaction. */
const messagesMax = 100;
/** Devices that are looked into at once. */
const devicesAtOnce = 200;
/** Devices that are known to have messages; beyond it all is looked through again. */
const devicesMax = 10_000;
const devicesPerPage = 1_000;

export interface WaitingMessagesDeps {
  readonly storage: { readonly services: Pick<ServiceReads, 'listMessages' | 'listWaitingDevices'> };
  isMine(device: DeviceName): boolean;
}

/** Messages to devices of a service's users, of which those that are not taken wait in their inboxes. Here stands only which inboxes these are. */
export class WaitingMessages {
  readonly #deps: WaitingMessagesDeps;
  readonly #devices = new Map<string, DeviceName>();
  /** What an earlier process left, and what was too much, is found in storage. */
  #isLookedThrough = false;

  constructor(deps: WaitingMessagesDeps) {
    this.#deps = deps;
  }

  /** A message came for the device, which belongs to the service. */
  note(device: DeviceName): void {
    if (!this.#isLookedThrough) return;
    this.#devices.set(JSON.stringify([device.userId, device.deviceId]), device);
    if (this.#devices.size <= devicesMax) return;
    this.#devices.clear();
    this.#isLookedThrough = false;
  }

  /** The oldest messages, JSON texts, and what is collected with them. */
  async read(): Promise<{ texts: string[]; collected: ServiceTransaction['collected'] }> {
    if (!this.#isLookedThrough) {
      await this.#lookThrough().catch((error: unknown) => {
        this.#isLookedThrough = false;
        throw error;
      });
    }
    while (this.#devices.size > 0) {
      const asked = [...this.#devices].slice(0, devicesAtOnce);
      const found = await this.#deps.storage.services.listMessages(
        asked.map(([, device]) => device),
        messagesMax,
      );
      if (found.length > 0) {
        const upTo = new Map<string, DeviceName & { upTo: Position }>();
        for (const { userId, deviceId, position } of found)
          upTo.set(JSON.stringify([userId, deviceId]), { userId, deviceId, upTo: position });
        return { texts: found.map((one) => encodeToDevice(one, one.text)), collected: [...upTo.values()] };
      }
      // Who was noted meanwhile is another object.
      for (const [key, device] of asked) if (this.#devices.get(key) === device) this.#devices.delete(key);
    }
    return { texts: [], collected: [] };
  }

  async #lookThrough(): Promise<void> {
    // What comes from now on is noted.
    this.#isLookedThrough = true;
    let after: DeviceName | null = null;
    for (;;) {
      const page: DeviceName[] = await this.#deps.storage.services.listWaitingDevices(after, devicesPerPage);
      for (const device of page) {
        if (this.#deps.isMine(device)) this.#devices.set(JSON.stringify([device.userId, device.deviceId]), device);
        if (this.#devices.size < devicesMax) continue;
        // The rest is found when these are through.
        this.#isLookedThrough = false;
        return;
      }
      after = page.at(-1) ?? null;
      if (after === null) return;
    }
  }
}
