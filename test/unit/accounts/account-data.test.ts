import { describe, expect, it } from 'vitest';
import { createAccountData, singleRow } from '../../../src/accounts/account-data.ts';
import { createInOrder } from '../../../src/accounts/in-order.ts';
import type { RoomId, UserId } from '../../../src/matrix/ids.ts';
import type { JsonObject } from '../../../src/matrix/pdu.ts';
import type { AccountDataReads } from '../../../src/storage/contract/account-data.ts';
import type { Batch, CommitResult } from '../../../src/storage/contract/commit.ts';

const userId = '@alice:a.test' as UserId;
const roomId = '!r:a.test' as RoomId;
const key = { userId, roomId, type: 'm.tag' };

/** Storage whose document another process writes `conflicts` times, each just before the commit. */
function setUp(conflicts: number) {
  let stored: { content: JsonObject; position: number } | undefined;
  let position = 0;
  const storage = {
    accountData: {
      find: async () => (stored ? { ...key, ...stored } : undefined),
    } as unknown as AccountDataReads,
    async commit(batch: Batch): Promise<CommitResult> {
      if (conflicts > 0) {
        conflicts -= 1;
        position += 1;
        stored = { content: { ...stored?.content, [`other${position}`]: true }, position };
      }
      const expectation = batch.expect?.[0];
      if (expectation?.kind === 'account_data_revision' && expectation.position !== (stored?.position ?? null)) {
        return { outcome: 'conflict', expectation };
      }
      position += 1;
      const row = batch.rows[0];
      if (row?.kind === 'account_data') stored = { content: row.content, position };
      return { outcome: 'committed', position, positions: [position] };
    },
  };
  const accountData = createAccountData({
    storage,
    checkAccountData: async (...row) => singleRow(...row),
    presentAccountData: (_userId, _type, stored) => stored,
    inOrder: createInOrder(),
  });
  return { accountData, content: () => stored?.content };
}

describe('a change of account data', () => {
  it('decides again on what somebody else wrote meanwhile', async () => {
    const { accountData, content } = setUp(2);
    await accountData.change(key, (before) => ({ ...before, mine: true }));
    expect(content()).toEqual({ other1: true, other2: true, mine: true });
  });

  it('gives up when it never gets through', async () => {
    const { accountData, content } = setUp(5);
    const change = accountData.change(key, (before) => ({ ...before, mine: true }));
    await expect(change).rejects.toMatchObject({ errcode: 'M_LIMIT_EXCEEDED' });
    expect(content()).not.toHaveProperty('mine');
  });

  it('that decides to leave it writes nothing', async () => {
    const { accountData, content } = setUp(0);
    await accountData.change(key, () => undefined);
    expect(content()).toBeUndefined();
  });
});
