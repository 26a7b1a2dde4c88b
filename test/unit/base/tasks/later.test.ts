import { describe, expect, it } from 'vitest';
import { Later, type LaterListener, listenTo, promiseOf } from '../../../../src/base/tasks/later.ts';

/** Ends when a test says so. */
class Hand extends Later<string> {
  listener: LaterListener<string> | undefined;

  begin(listener: LaterListener<string>): void {
    this.listener = listener;
  }
}

function listener() {
  const told: string[] = [];
  return {
    told,
    done: (value: string) => void told.push(`done ${value}`),
    failed: (error: unknown) => void told.push(`failed ${error}`),
  };
}

describe('something that takes its time', () => {
  it('tells its listener and nobody else', () => {
    const [hand, heard] = [new Hand(), listener()];
    listenTo(hand, heard);
    expect(heard.told).toEqual([]);
    hand.listener?.done('now');
    expect(heard.told).toEqual(['done now']);
  });

  it('is a promise for who wants one', async () => {
    const [good, bad] = [new Hand(), new Hand()];
    const [promise, refused] = [promiseOf(good), promiseOf(bad)];
    good.listener?.done('now');
    bad.listener?.failed(new Error('no'));
    await expect(promise).resolves.toBe('now');
    await expect(refused).rejects.toThrow('no');
  });

  it('may be a promise for who listens', async () => {
    const heard = listener();
    const refused = Promise.reject(new Error('no'));
    listenTo(Promise.resolve('now'), heard);
    listenTo(refused, heard);
    await refused.catch(() => {});
    await Promise.resolve();
    expect(heard.told).toEqual(['done now', 'failed Error: no']);
  });
});
