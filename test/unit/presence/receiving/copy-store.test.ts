import { beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../../src/base/log.ts';
import { Background } from '../../../../src/base/tasks/background.ts';
import type { UserId } from '../../../../src/matrix/ids.ts';
import { everybody } from '../../../../src/presence/core/copies.ts';
import { createFacts } from '../../../../src/presence/core/facts.ts';
import { CopyStore } from '../../../../src/presence/receiving/copy-store.ts';
import { compileRules } from '../../../../src/presence/sharing-rules.ts';
import { ManualClock } from '../../../support/manual-clock.ts';

const strangersMax = 5_000;
const stranger = (index: number) => `@u${index}:there.test` as UserId;

let clock: ManualClock;
let store: CopyStore;
/** Of whom somebody here may come to be given something. */
let near: Set<UserId>;

beforeEach(() => {
  clock = new ManualClock();
  near = new Set();
  store = new CopyStore({
    storage: {
      commit: async () => ({ outcome: 'committed', position: 0 as never, positions: [] }),
      presence: { listCopies: async () => [] },
    },
    facts: createFacts({
      roomsOf: () => new Set(),
      counts: () => true,
      rulesOf: () => compileRules([], new Set()),
    }),
    clock,
    background: new Background({ log: silentLog }),
    settings: { copyExpiresMs: 1_800_000 },
    isOpen: true,
    isNear: (subject) => near.has(subject),
    onExpired: () => {},
  });
});

function receive(subject: UserId): void {
  const now = clock.monotonic();
  const shown = { state: 'online', statusMsg: null, currentlyActive: false } as const;
  const time = { activeAt: now, expiresAt: now + 1_800_000, receivedAt: now };
  store.apply(subject, { shown, recipients: everybody, ...time });
}

describe('subjects whom nobody here may be given', () => {
  beforeEach(() => {
    for (let index = 0; index < strangersMax; index += 1) receive(stranger(index));
  });

  it('are five thousand at most: for one more the oldest goes', () => {
    expect(store.size).toBe(strangersMax);
    receive(stranger(strangersMax));
    expect(store.size).toBe(strangersMax);
    expect(store.has(stranger(0))).toBe(false);
    expect(store.has(stranger(1))).toBe(true);
  });

  it('and have come near since are no strangers any more: nothing of them goes', () => {
    near.add(stranger(0));
    receive(stranger(strangersMax));
    receive(stranger(strangersMax + 1));
    expect(store.copiesOf(stranger(0))).toHaveLength(1);
    expect(store.has(stranger(1))).toBe(false);
    expect(store.has(stranger(2))).toBe(true);
  });
});
