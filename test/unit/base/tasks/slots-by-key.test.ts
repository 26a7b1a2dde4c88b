import { describe, expect, it } from 'vitest';
import { SlotsFullError } from '../../../../src/base/tasks/slots.ts';
import { SlotsByKey } from '../../../../src/base/tasks/slots-by-key.ts';

describe('slots for each key', () => {
  it('keep what one key has under way apart from the others', async () => {
    const slots = new SlotsByKey({ runningMax: 1, waitingMax: 1 });
    const started: string[] = [];
    const finish: (() => void)[] = [];
    const task = (name: string) => () => {
      started.push(name);
      return new Promise<string>((resolve) => finish.push(() => resolve(name)));
    };
    const first = slots.run('a', task('a1'));
    const second = slots.run('a', task('a2'));
    await expect(slots.run('a', task('a3'))).rejects.toBeInstanceOf(SlotsFullError);
    const other = slots.run('b', task('b1'));
    expect(started).toEqual(['a1', 'b1']);
    finish.shift()?.();
    expect(await first).toBe('a1');
    expect(started).toEqual(['a1', 'b1', 'a2']);
    for (const end of finish) end();
    expect(await Promise.all([second, other])).toEqual(['a2', 'b1']);
    expect(await slots.run('a', async () => 'again')).toBe('again');
  });

  it('let the next go on when a task fails', async () => {
    const slots = new SlotsByKey({ runningMax: 1, waitingMax: 1 });
    const failing = slots.run('a', () => Promise.reject(new Error('no')));
    const next = slots.run('a', async () => 'yes');
    await expect(failing).rejects.toThrow('no');
    expect(await next).toBe('yes');
  });
});
