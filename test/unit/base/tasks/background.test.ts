import { describe, expect, it } from 'vitest';
import { breathe } from '../../../../src/base/breathe.ts';
import { systemClock } from '../../../../src/base/clock.ts';
import { silentLog } from '../../../../src/base/log.ts';
import { Background } from '../../../../src/base/tasks/background.ts';

describe('background tasks', () => {
  it('are waited for, also those that a task starts', async () => {
    const background = new Background({ log: silentLog });
    const done: string[] = [];
    background.run('outer', async () => {
      await new Promise((resolve) => setImmediate(resolve));
      background.run('inner', async () => {
        await new Promise((resolve) => setImmediate(resolve));
        done.push('inner');
      });
      done.push('outer');
    });
    await background.idle();
    expect(done).toEqual(['outer', 'inner']);
  });

  it('log their failure and harm nobody', async () => {
    const errors: unknown[] = [];
    const background = new Background({ log: { ...silentLog, error: (fields: unknown) => void errors.push(fields) } });
    background.run('bad', () => Promise.reject(new Error('no')));
    background.run('worse', () => {
      throw new Error('at once');
    });
    await background.idle();
    expect(errors).toMatchObject([{ task: 'worse' }, { task: 'bad' }]);
  });

  it('are told to end by stop, after which none begins', async () => {
    const background = new Background({ log: silentLog });
    let ended = false;
    background.run('long', async (signal) => {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      ended = true;
    });
    await background.stop();
    expect(ended).toBe(true);
    expect(background.run('late', async () => {})).toBe(false);
  });

  it('are refused beyond the maximum', async () => {
    const background = new Background({ log: silentLog, tasksMax: 1 });
    expect(background.run('one', async () => {})).toBe(true);
    expect(background.run('two', async () => {})).toBe(false);
    await background.idle();
    expect(background.run('three', async () => {})).toBe(true);
    await background.stop();
  });
});

describe('breathing', () => {
  function spin(ms: number): void {
    const until = systemClock.monotonic() + ms;
    while (systemClock.monotonic() < until);
  }

  it('lets others run once the turn has lasted ten milliseconds', async () => {
    let others = false;
    await new Promise((resolve) => setImmediate(resolve));
    await breathe();
    spin(12);
    setImmediate(() => {
      others = true;
    });
    await breathe();
    expect(others).toBe(true);
  });

  it('costs no turn of the loop before', async () => {
    let others = false;
    await new Promise((resolve) => setImmediate(resolve));
    await breathe();
    setImmediate(() => {
      others = true;
    });
    for (let round = 0; round < 10; round += 1) await breathe();
    expect(others).toBe(false);
  });
});
