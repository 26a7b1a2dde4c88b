import { canonicalJson } from '../../base/json/canonical-json.ts';
import type { Edu } from '../../matrix/edu.ts';
import type { UserId } from '../../matrix/ids.ts';
import type { PresencePush } from '../../matrix/presence.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Shown } from '../core/shown.ts';

/** The form of presence between servers (server-server API, "Presence", with MSC4325's `allowed_recipients`). */

export const recipientsPerEduMax = 256;
export const subjectsPerEduMax = 50;
export const eduBytesMax = 65_536;

type Recipients = readonly [string, ...string[]];

/**
 * Who gets an update: everybody there, or these by name. Nobody cannot be said, and is not sent. For everybody the field is left
 * out, or stands as `@*:server`, which means the same and tells that server that we know the field.
 */
export type WireAudience =
  | { readonly kind: 'everybody'; readonly announcedTo?: ServerName }
  | { readonly kind: 'named'; readonly users: Recipients };

/** `"push":[]`, `content`, `edu_type` and what they are wrapped in. */
const eduOverheadBytes = 64;
/** For a user who was never active: receivers require a number. */
const neverActiveAgoMs = 30 * 86_400_000;

/** The offline that takes back whatever the server holds: "`@*:destination`" is everybody there. */
export function narrowingEntry(subject: UserId, destination: ServerName, lastActiveAgoMs: number | null): PresencePush {
  return {
    user_id: subject,
    presence: 'offline',
    last_active_ago: lastActiveAgoMs ?? neverActiveAgoMs,
    currently_active: false,
    allowed_recipients: [`@*:${destination}`],
  };
}

/** For a server that gets nothing else: of a subject who is withheld there, and so shown as offline in any case. */
export function announcementEntry(subject: UserId, destination: ServerName): PresencePush {
  return narrowingEntry(subject, destination, 0);
}

/** The update as entries that each fit an EDU. They stand together and in this order. */
export function updateEntries(
  subject: UserId,
  sight: { readonly shown: Shown; readonly lastActiveAgoMs: number | null },
  audience: WireAudience,
): PresencePush[] {
  const { shown } = sight;
  const update: PresencePush = {
    user_id: subject,
    presence: shown.state,
    last_active_ago: sight.lastActiveAgoMs ?? neverActiveAgoMs,
    currently_active: shown.currentlyActive,
    ...(shown.statusMsg === null ? {} : { status_msg: wellFormed(shown.statusMsg) }),
  };
  if (audience.kind === 'everybody')
    return [audience.announcedTo ? { ...update, allowed_recipients: [`@*:${audience.announcedTo}`] } : update];
  const roomBytes = eduBytesMax - eduOverheadBytes - bytesOf(update) - `,"allowed_recipients":[]`.length;
  return chunk(audience.users, roomBytes).map((users) => ({ ...update, allowed_recipients: users }));
}

function chunk(users: Recipients, bytesMax: number): Recipients[] {
  const chunks: Recipients[] = [];
  let current: [string, ...string[]] | undefined;
  let bytes = 0;
  for (const user of users) {
    const userBytes = recipientBytes(user);
    if (current === undefined || current.length >= recipientsPerEduMax || bytes + userBytes > bytesMax) {
      current = [user];
      chunks.push(current);
      bytes = userBytes;
    } else {
      current.push(user);
      bytes += userBytes;
    }
  }
  return chunks;
}

/** Fills EDUs with groups of entries that must not be torn apart. */
export class EduPacker {
  readonly #edusMax: number;
  readonly #edus: PresencePush[][] = [];
  #bytes = 0;
  #recipients = 0;

  constructor(edusMax: number) {
    this.#edusMax = edusMax;
  }

  /** False, and nothing is added, when the group does not fit into what is left. */
  add(group: readonly PresencePush[]): boolean {
    const undo = {
      edus: this.#edus.length,
      entries: this.#edus.at(-1)?.length ?? 0,
      bytes: this.#bytes,
      recipients: this.#recipients,
    };
    for (const entry of group) this.#append(entry);
    if (this.#edus.length <= this.#edusMax) return true;
    this.#edus.length = undo.edus;
    const last = this.#edus.at(-1);
    if (last) last.length = undo.entries;
    this.#bytes = undo.bytes;
    this.#recipients = undo.recipients;
    return false;
  }

  /** EDUs that a group takes on its own. */
  static countEdus(group: readonly PresencePush[]): number {
    const packer = new EduPacker(Number.POSITIVE_INFINITY);
    packer.add(group);
    return packer.#edus.length;
  }

  edus(): Edu[] {
    return this.#edus.map((push) => ({ edu_type: 'm.presence', content: { push } }));
  }

  #append(entry: PresencePush): void {
    const bytes = bytesOf(entry) + 1;
    const recipients = entry.allowed_recipients?.length ?? 0;
    const current = this.#edus.at(-1);
    const fits =
      current !== undefined &&
      current.length < subjectsPerEduMax &&
      this.#recipients + recipients <= recipientsPerEduMax &&
      this.#bytes + bytes <= eduBytesMax;
    if (fits) {
      current.push(entry);
      this.#bytes += bytes;
      this.#recipients += recipients;
      return;
    }
    this.#edus.push([entry]);
    this.#bytes = eduOverheadBytes + bytes;
    this.#recipients = recipients;
  }
}

function bytesOf(entry: PresencePush): number {
  return Buffer.byteLength(canonicalJson(entry));
}

/** With quotes and a comma. */
function recipientBytes(user: string): number {
  return Buffer.byteLength(JSON.stringify(user)) + 1;
}

/** Lone surrogates have no place in canonical JSON, and would take the whole update with them. */
function wellFormed(text: string): string {
  return Buffer.from(text).toString();
}
