import type { UserId } from '../../../src/matrix/ids.ts';
import type { PresencePush } from '../../../src/matrix/presence.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';

export const wire = 'wire.test' as ServerName;

/** A server that knows `allowed_recipients`, written from section 6 alone. None of its users wants to see a stranger. */
export class WireServer {
  isDown = false;
  /** By subject, in order of arrival: whom the update named (null: whoever shares a room), and what it said. */
  readonly #copies = new Map<UserId, { recipients: readonly string[] | null; text: string }[]>();

  receive(push: readonly PresencePush[]): void {
    for (const { user_id: subject, presence, status_msg: status, allowed_recipients: list } of push) {
      const text = `${presence} ${status ?? ''}`;
      const isWhole = list === undefined || list.includes(`@*:${wire}`);
      const former = isWhole ? [] : (this.#copies.get(subject) ?? []);
      this.#copies.set(subject, [...former, { recipients: isWhole ? null : list, text }]);
    }
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
