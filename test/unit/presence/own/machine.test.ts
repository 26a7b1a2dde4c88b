import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PresenceState } from '../../../../src/matrix/presence.ts';
import {
  actOnDevice,
  aggregate,
  beginSync,
  type Device,
  endSync,
  goesOn,
  isForgettable,
  newDevice,
  putDevice,
  stateOf,
} from '../../../../src/presence/own/machine.ts';

const timers = { currentlyActiveMs: 60_000, idleAfterMs: 300_000, offlineAfterMs: 30_000 };
const minute = 60_000;

type Step =
  | { do: 'sync'; set: PresenceState; written: boolean }
  | { do: 'end' }
  | { do: 'put'; state: PresenceState }
  | { do: 'act' }
  | { do: 'wait'; ms: number };

const sync = (set: PresenceState): Step => ({ do: 'sync', set, written: true });
const absent: Step = { do: 'sync', set: 'online', written: false };
const end: Step = { do: 'end' };
const put = (state: PresenceState): Step => ({ do: 'put', state });
const act: Step = { do: 'act' };
const wait = (ms: number): Step => ({ do: 'wait', ms });
/** A sync from begin to end. */
const once = (set: PresenceState): Step[] => [sync(set), end];

function apply(device: Device, step: Step, now: number): Device {
  if (step.do === 'sync') return beginSync(device, { setPresence: step.set, written: step.written }, { now, timers });
  if (step.do === 'end') return endSync(device, now);
  if (step.do === 'put') return putDevice(device, step.state, now);
  return step.do === 'act' ? actOnDevice(device, now) : device;
}

function run(steps: readonly Step[]): { device: Device; now: number; state: PresenceState } {
  let now = 0;
  let device = newDevice(now);
  for (const step of steps) {
    if (step.do === 'wait') now += step.ms;
    device = apply(device, step, now);
  }
  return { device, now, state: stateOf(device, now, timers) };
}

describe('one device', () => {
  const table: [string, readonly Step[], PresenceState][] = [
    ['is offline before it says anything', [], 'offline'],
    ['is online by a sync that does not say', [absent], 'online'],
    ['is idle by set_presence=unavailable', [sync('unavailable')], 'unavailable'],
    ['is left alone by set_presence=offline', [sync('offline')], 'offline'],
    ['stays online while a sync is in flight', [absent, wait(200_000)], 'online'],
    ['is gone 30 seconds after its last sync', [...once('online'), wait(30_000)], 'offline'],
    ['is there until then', [...once('online'), wait(29_999)], 'online'],
    ['goes idle after five minutes without activity', [absent, wait(5 * minute)], 'unavailable'],
    ['is not kept active by repeating online', [absent, wait(4 * minute), absent, wait(minute)], 'unavailable'],
    ['is kept active by doing something', [absent, wait(4 * minute), act, wait(4 * minute)], 'online'],
    ['is woken from idleness by doing something', [absent, wait(6 * minute), act], 'online'],
    ['is not made online by activity while it says unavailable', [sync('unavailable'), act], 'unavailable'],
    ['is made active by going from unavailable to online', [sync('unavailable'), wait(9 * minute), absent], 'online'],
    ['that never synced is online by doing something', [act], 'online'],
    ['that never synced is gone 30 seconds later', [act, wait(30_000)], 'offline'],
    ['that never synced is gone 30 seconds after its PUT', [put('online'), wait(30_000)], 'offline'],
    ['keeps what was PUT over its first sync', [put('unavailable'), absent], 'unavailable'],
    ['keeps it over more of the same', [put('unavailable'), absent, absent, absent], 'unavailable'],
    ['keeps it while it acts', [put('unavailable'), absent, act], 'unavailable'],
    ['ends it by another value than before', [put('unavailable'), ...once('unavailable'), sync('online')], 'online'],
    ['ends it by coming back after having been gone', [put('unavailable'), wait(40_000), absent], 'online'],
    ['hides by a PUT', [absent, put('offline')], 'offline'],
    ['stays hidden while it acts', [absent, put('offline'), act], 'offline'],
    ['stays hidden by going on as before', [sync('online'), put('offline'), sync('online'), sync('online')], 'offline'],
    ['stays hidden by a sync that does not say', [sync('unavailable'), put('offline'), absent, absent], 'offline'],
    [
      'stays hidden after having been gone',
      [...once('online'), put('offline'), wait(minute), sync('online')],
      'offline',
    ],
    ['is seen again by a PUT', [put('offline'), put('unavailable')], 'unavailable'],
    [
      'is seen again by a new word',
      [sync('online'), put('offline'), sync('online'), sync('unavailable')],
      'unavailable',
    ],
    ['is seen again by its first word', [absent, put('offline'), absent, sync('online')], 'online'],
    ['stays hidden by the first word it ever says, right after the PUT', [put('offline'), sync('online')], 'offline'],
    ['keeps a PUT over a first set_presence=offline', [put('online'), ...once('offline')], 'online'],
    ['loses it 30 seconds later', [put('online'), sync('offline'), wait(30_000)], 'offline'],
    ['does not keep it by acting', [put('online'), ...once('offline'), wait(20_000), act, wait(10_000)], 'offline'],
    ['hidden by set_presence=offline does not show by acting', [sync('offline'), act], 'offline'],
    ['hidden by set_presence=offline shows when it says otherwise', [sync('offline'), absent], 'online'],
  ];

  it.each(table)('%s', (_, steps, state) => {
    expect(run(steps).state).toBe(state);
  });

  it('that hides does not become active', () => {
    const { device } = run([absent, wait(1_000), put('offline'), wait(1_000), act]);
    expect(device.activeAt).toBe(0);
  });

  it('is forgotten when it is gone and said nothing that lasts', () => {
    const isForgotten = (steps: readonly Step[]) => {
      const { device, now } = run(steps);
      return isForgettable(device, now, timers);
    };
    expect(isForgotten([absent, end, wait(30_000)])).toBe(true);
    expect(isForgotten([absent, end, wait(29_999)])).toBe(false);
    expect(isForgotten([put('offline'), wait(90_000)])).toBe(false);
    expect(isForgotten([sync('offline'), wait(90_000)])).toBe(false);
  });
});

describe('a user', () => {
  const state = fc.constantFrom<PresenceState>('online', 'unavailable', 'offline');
  const step = fc.oneof(
    fc.record({ do: fc.constant('sync' as const), set: state, written: fc.boolean() }),
    fc.constant<Step>(end),
    fc.record({ do: fc.constant('put' as const), state }),
    fc.constant<Step>(act),
    fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1, 10_000, 29_999, 30_000, 60_000, 300_000) }),
  );
  const history = fc.array(fc.record({ device: fc.nat(2), step }), { maxLength: 40 });
  const rank = { online: 2, unavailable: 1, offline: 0 };

  function play(steps: readonly { device: number; step: Step }[]): { devices: Device[]; now: number } {
    let now = 0;
    const devices = [newDevice(0), newDevice(0), newDevice(0)];
    for (const { device, step } of steps) {
      if (step.do === 'wait') now += step.ms;
      else devices[device] = apply(devices[device] ?? newDevice(now), step, now);
    }
    return { devices, now };
  }

  it('is in one state, that of the best of the devices, and currently active only when online', () => {
    fc.assert(
      fc.property(history, (steps) => {
        const { devices, now } = play(steps);
        const whole = aggregate({ devices, activeAt: null, grace: null }, now, timers);
        const best = Math.max(...devices.map((device) => rank[stateOf(device, now, timers)]));
        expect(rank[whole.state]).toBe(best);
        if (whole.currentlyActive) expect(whole.state).toBe('online');
        expect(whole.currentlyActive && whole.activeAt !== null && now >= whole.activeAt + minute).toBe(false);
      }),
    );
  });

  it('changes by the passing of time at the moment that was foretold, and not before', () => {
    fc.assert(
      fc.property(history, fc.nat(), (steps, part) => {
        const { devices, now } = play(steps);
        const see = (at: number) => {
          const { state, currentlyActive } = aggregate({ devices, activeAt: null, grace: null }, at, timers);
          return { state, currentlyActive };
        };
        const { nextAt } = aggregate({ devices, activeAt: null, grace: null }, now, timers);
        if (nextAt !== null) expect(nextAt).toBeGreaterThan(now);
        const until = nextAt ?? now + 10_000_000;
        expect(see(now + (part % (until - now)))).toEqual(see(now));
      }),
    );
  });

  it('is not changed by a sync that goes on as before, which only counts', () => {
    let went = 0;
    fc.assert(
      fc.property(history, state, fc.boolean(), (steps, setPresence, written) => {
        const { devices, now } = play(steps);
        for (const device of devices) {
          const asked = { setPresence, written };
          if (!goesOn(device, asked, { now, timers })) continue;
          went += 1;
          expect(beginSync(device, asked, { now, timers })).toEqual({ ...device, syncs: device.syncs + 1 });
        }
      }),
    );
    expect(went).toBeGreaterThan(0);
  });

  it('does not go on as before behind a PUT, hidden, gone, or with another word', () => {
    const goes = (steps: readonly Step[], setPresence: PresenceState, written: boolean) => {
      const { device, now } = run(steps);
      return goesOn(device, { setPresence, written }, { now, timers });
    };
    expect(goes(once('online'), 'online', true)).toBe(true);
    expect(goes([absent, end], 'online', false)).toBe(true);
    expect(goes([absent, end], 'online', true)).toBe(false);
    expect(goes(once('online'), 'unavailable', true)).toBe(false);
    expect(goes([...once('online'), wait(30_000)], 'online', true)).toBe(false);
    expect(goes([...once('online'), put('online')], 'online', true)).toBe(false);
    expect(goes([...once('online'), ...once('offline')], 'offline', true)).toBe(false);
  });

  it('who says nothing but offline is never seen', () => {
    const hidden = fc.oneof(
      fc.record({
        do: fc.constant('sync' as const),
        set: fc.constant<PresenceState>('offline'),
        written: fc.boolean(),
      }),
      fc.constant<Step>(act),
      fc.constant<Step>(put('offline')),
    );
    fc.assert(
      fc.property(fc.array(hidden, { maxLength: 20 }), (steps) => {
        const { device, now } = run([put('offline'), ...steps]);
        expect(stateOf(device, now, timers)).toBe('offline');
        expect(device.activeAt).toBeNull();
      }),
    );
  });

  it('keeps the state of before a restart until the grace is over', () => {
    const grace = { state: 'online', until: 45_000 } as const;
    const at = (now: number) => aggregate({ devices: [], activeAt: -100_000, grace }, now, timers);
    expect(at(44_999)).toEqual({ state: 'online', currentlyActive: false, activeAt: -100_000, nextAt: 45_000 });
    expect(at(45_000)).toEqual({ state: 'offline', currentlyActive: false, activeAt: -100_000, nextAt: null });
  });
});
