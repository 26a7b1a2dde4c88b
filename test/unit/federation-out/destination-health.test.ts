import { describe, expect, it } from 'vitest';
import { silentLog } from '../../../src/base/log.ts';
import { createRandom } from '../../../src/base/random.ts';
import { DestinationHealth } from '../../../src/federation-out/destination-health.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import type { Batch, CommitResult } from '../../../src/storage/contract/commit.ts';
import type { DestinationHealthRow } from '../../../src/storage/contract/outgoing.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const hs = 'hs.example' as ServerName;
const hourMs = 3_600_000;

function health(stored: DestinationHealthRow[] = [], clock = new ManualClock()) {
  const commits: Batch[] = [];
  const disk = { fails: false };
  const commit = async (batch: Batch): Promise<CommitResult> => {
    if (disk.fails) throw new Error('disk full');
    commits.push(batch);
    return { outcome: 'committed', position: 0, positions: [] };
  };
  const storage = { outgoing: { listFailingDestinations: async () => stored }, commit };
  // The longest back-off that jitter can give.
  const random = createRandom((length) => new Uint8Array(length).fill(255));
  return { clock, commits, disk, health: new DestinationHealth({ storage, clock, random, log: silentLog }) };
}

describe("a destination's health", () => {
  it('lets everyone be tried who is not known to fail', () => {
    expect(health().health.mayTry(hs)).toBe(true);
  });

  it('leaves a failing server alone, longer each time, an hour at most', async () => {
    const { clock, health: state } = health();
    for (const seconds of [4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600]) {
      state.markFailed(hs);
      expect(state.mayTry(hs)).toBe(false);
      await clock.advance(seconds * 1_000 - 1);
      expect(state.mayTry(hs)).toBe(false);
      await clock.advance(1);
      expect(state.mayTry(hs)).toBe(true);
    }
    expect(state.find(hs)).toMatchObject({ failures: 12, failingSinceMs: 1_700_000_000_000 });
  });

  it('counts failures that come during one back-off once', () => {
    const { health: state } = health();
    const first = state.markFailed(hs);
    expect(state.markFailed(hs)).toBe(first);
    expect(state.find(hs)?.failures).toBe(1);
  });

  it('tries a server that answered at once, starts anew, and tells who wants to know', () => {
    const { health: state } = health();
    const back: ServerName[] = [];
    state.onBack((destination) => back.push(destination));
    state.markReachable(hs);
    expect(back).toEqual([]);
    state.markFailed(hs);
    state.markReachable(hs);
    expect(back).toEqual([hs]);
    expect(state.mayTry(hs)).toBe(true);
    expect(state.find(hs)).toBeUndefined();
    expect(state.markFailed(hs).failures).toBe(1);
  });

  it('keeps each server by itself, byte for byte', () => {
    const { health: state } = health();
    state.markFailed(hs);
    expect(state.mayTry('HS.example' as ServerName)).toBe(true);
  });

  it('stores what it knows, many in one commit, and the recovery too', async () => {
    const { commits, health: state } = health();
    for (let number = 0; number < 10; number += 1) state.markFailed(`s${number}.example` as ServerName);
    await state.idle();
    expect(commits).toHaveLength(1);
    expect(commits[0]?.rows).toHaveLength(10);
    expect(commits[0]?.rows[0]).toEqual({
      kind: 'destination_health',
      destination: 's0.example',
      failingSinceMs: 1_700_000_000_000,
      retryAtMs: 1_700_000_004_000,
      failures: 1,
    });
    state.markReachable('s0.example' as ServerName);
    await state.stop();
    expect(commits[1]?.rows).toMatchObject([{ destination: 's0.example', retryAtMs: null, failures: 0 }]);
  });

  it('goes on in memory when storing fails', async () => {
    const { disk, health: state } = health();
    disk.fails = true;
    state.markFailed(hs);
    await state.idle();
    expect(state.mayTry(hs)).toBe(false);
  });

  it('takes up after a start what was stored', async () => {
    const clock = new ManualClock();
    const now = clock.now();
    const stored = [
      { destination: hs, failingSinceMs: now - hourMs, retryAtMs: now + 1_000, failures: 3 },
      { destination: 'over.example' as ServerName, failingSinceMs: now - hourMs, retryAtMs: now - 1, failures: 3 },
    ];
    const { health: state } = health(stored, clock);
    await state.start();
    expect(state.mayTry(hs)).toBe(false);
    expect(state.mayTry('over.example' as ServerName)).toBe(true);
    await clock.advance(1_000);
    expect(state.mayTry(hs)).toBe(true);
    expect(state.markFailed(hs).failures).toBe(4);
  });
});
