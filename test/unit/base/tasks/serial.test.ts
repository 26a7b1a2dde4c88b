import { describe, expect, it } from 'vitest';
import { Serial, SerialFullError } from '../../../../src/base/tasks/serial.ts';
import { Slots, SlotsFullError } from '../../../../src/base/tasks/slots.ts';
import { settle } from '../../../support/manual-clock.ts';

function gate() {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open: () => open(), opened };
}

describe('a serial', () => {
  it('runs the tasks of one key one after the other, in order', async () => {
    const serial = new Serial({ waitingMax: 10 });
    const first = gate();
    const log: string[] = [];
    const runs = [
      serial.run('a', async () => {
        log.push('1 begins');
        await first.opened;
        log.push('1 ends');
      }),
      serial.run('a', () => void log.push('2')),
      serial.run('a', () => void log.push('3')),
    ];
    await settle();
    expect(log).toEqual(['1 begins']);
    first.open();
    await Promise.all(runs);
    expect(log).toEqual(['1 begins', '1 ends', '2', '3']);
  });

  it('lets another key go on meanwhile', async () => {
    const serial = new Serial({ waitingMax: 10 });
    const blocked = gate();
    const waiting = serial.run('a', () => blocked.opened);
    expect(await serial.run('b', () => 5)).toBe(5);
    blocked.open();
    await waiting;
  });

  it('goes on after a task that failed, and hands its error to its caller alone', async () => {
    const serial = new Serial({ waitingMax: 10 });
    const failing = serial.run('a', () => Promise.reject(new Error('no')));
    const next = serial.run('a', () => 'yes');
    await expect(failing).rejects.toThrow('no');
    expect(await next).toBe('yes');
  });

  it('refuses a task when too many wait for the key, and only for that key', async () => {
    const serial = new Serial({ waitingMax: 2 });
    const blocked = gate();
    const runs = [serial.run('a', () => blocked.opened), serial.run('a', () => {}), serial.run('a', () => {})];
    await expect(serial.run('a', () => {})).rejects.toThrow(SerialFullError);
    expect(await serial.run('b', () => 1)).toBe(1);
    blocked.open();
    await Promise.all(runs);
    expect(await serial.run('a', () => 2)).toBe(2);
  });

  it('keeps nothing for keys that are done, and is idle then', async () => {
    const serial = new Serial({ waitingMax: 10 });
    const blocked = gate();
    const runs = [serial.run('a', () => blocked.opened), serial.run('a', () => {}), serial.run('b', () => {})];
    expect(serial.size).toBe(3);
    let idle = false;
    const waiting = serial.idle().then(() => {
      idle = true;
    });
    await settle();
    expect(idle).toBe(false);
    blocked.open();
    await Promise.all([...runs, waiting]);
    expect(serial.size).toBe(0);
  });
});

describe('slots', () => {
  it('run so many at once, and the others in their order as places come free', async () => {
    const slots = new Slots({ runningMax: 2, waitingMax: 10 });
    const gates = [gate(), gate(), gate(), gate()];
    const begun: number[] = [];
    const runs = gates.map(({ opened }, index) =>
      slots.run(async () => {
        begun.push(index);
        await opened;
      }),
    );
    await settle();
    expect(begun).toEqual([0, 1]);
    gates[1]?.open();
    await settle();
    expect(begun).toEqual([0, 1, 2]);
    for (const { open } of gates) open();
    await Promise.all(runs);
    expect(begun).toEqual([0, 1, 2, 3]);
  });

  it('refuse when too many wait, and free the place of a task that failed', async () => {
    const slots = new Slots({ runningMax: 1, waitingMax: 1 });
    const blocked = gate();
    const failing = slots.run(() => blocked.opened.then(() => Promise.reject(new Error('no'))));
    const next = slots.run(async () => 'yes');
    await expect(slots.run(async () => 1)).rejects.toThrow(SlotsFullError);
    blocked.open();
    await expect(failing).rejects.toThrow('no');
    expect(await next).toBe('yes');
    expect(await slots.run(async () => 'again')).toBe('again');
  });
});
