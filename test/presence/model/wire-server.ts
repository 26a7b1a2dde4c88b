import type { UserId } from '../../../src/matrix/ids.ts';
import type { PresencePush } from '../../../src/matrix/presence.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';

export const wire = 'wire.test' as ServerName;

/**
 * A server written from section 6 alone. None of its users wants to see a stranger. One that is unaware does not know
 * `allowed_recipients`: an update is for whoever shares a room, whatever stands in the list.
 */
export class WireServer {
  readonly isAware: boolean;
  /** By subject, in order of arrival: whom the update named (null: whoever shares a room), and what it said. */
  readonly #copies = new Map<UserId, { recipients: readonly string[] | null; text: string }[]>();

  constructor({ isAware }: { isAware: boolean }) {
    this.isAware = isAware;
  }

  receive(push: readonly PresencePush[]): void {
    for (const entry of push) {
      const recipients = this.recipientsOf(entry);
      const former = recipients === null ? [] : (this.#copies.get(entry.user_id) ?? []);
      this.#copies.set(entry.user_id, [...former, { recipients, text: textOf(entry) }]);
    }
  }

  /** Null: whoever shares a room. */
  recipientsOf({ allowed_recipients: list }: PresencePush): readonly string[] | null {
    return this.isAware && list !== undefined && !list.includes(`@*:${wire}`) ? list : null;
  }

  /** The last shared room is gone, and with it what was told. */
  forget(subject: UserId, viewer: UserId): void {
    const copies = this.#copies.get(subject);
    if (copies) copies.push({ recipients: [viewer], text: 'offline ' });
  }

  /** What a viewer who shares a room with the subject is shown. */
  shown(subject: UserId, viewer: UserId): string {
    const copies = this.#copies.get(subject) ?? [];
    return copies.findLast(({ recipients }) => recipients === null || recipients.includes(viewer))?.text ?? 'offline ';
  }
}

/** State and status of an entry as the model compares them. */
export function textOf({ presence, status_msg: status }: Pick<PresencePush, 'presence' | 'status_msg'>): string {
  return `${presence} ${status ?? ''}`;
}
