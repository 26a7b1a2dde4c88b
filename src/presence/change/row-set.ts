import type { UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { Row } from '../../storage/contract/commit.ts';

/** Rows by what they are about: each thing once, the last word on it. */
export class RowSet {
  readonly #rows = new Map<string, Row>();

  add(row: Row): void {
    this.#rows.set(keyOf(row), row);
  }

  findAccountData(userId: UserId, type: string): JsonObject | undefined {
    const row = this.#rows.get(JSON.stringify(['account_data', userId, null, type]));
    return row?.kind === 'account_data' ? row.content : undefined;
  }

  list(): readonly Row[] {
    return [...this.#rows.values()];
  }
}

function keyOf(row: Row): string {
  if (row.kind === 'account_data') return JSON.stringify([row.kind, row.userId, row.roomId, row.type]);
  if (row.kind === 'narrowing') return JSON.stringify([row.kind, row.destination, row.subject]);
  if (row.kind === 'presence_loss') return JSON.stringify([row.kind, row.viewer, row.subject]);
  if (row.kind === 'presence_fact') return JSON.stringify([row.kind, row.name]);
  return JSON.stringify([row.kind]);
}
