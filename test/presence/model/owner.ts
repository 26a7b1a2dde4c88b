import type { DeviceId, UserId } from '../../../src/matrix/ids.ts';
import type { PresenceState } from '../../../src/matrix/presence.ts';
import type { World } from '../../support/presence-world.ts';

/** The second device comes and goes; the first one polls all the time. */
export const devices = ['PHONE', 'TABLET'] as const;
export type DeviceName = (typeof devices)[number];

interface Device {
  /** What it adds in the end. */
  word: PresenceState;
  /** What it may add until it has settled: it is going away, or its server has just started. */
  until: readonly PresenceState[];
  /** What its syncs say; null: it has none. */
  polls: 'online' | 'offline' | null;
  endPoll: () => void;
}

const states: readonly PresenceState[] = ['offline', 'unavailable', 'online'];
const best = (all: readonly PresenceState[]): PresenceState =>
  states.findLast((state) => all.includes(state)) ?? 'offline';

/**
 * Somebody with a phone and a tablet, on a server and in the model: what the aggregate of the devices is in the end, and which other states may be
 * shown on the way.
 */
export class Owner {
  readonly userId: UserId;
  /** Of the last PUT: it "belongs to the user, not to the device". */
  status = '';
  readonly #world: World;
  /** Whoever does nothing for five minutes is unavailable. */
  readonly #goesIdle: boolean;
  readonly #devices: Record<DeviceName, Device>;

  constructor(world: World, userId: UserId, goesIdle: boolean) {
    this.#world = world;
    this.userId = userId;
    this.#goesIdle = goesIdle;
    const none = (): Device => ({ word: 'offline', until: [], polls: null, endPoll: () => {} });
    this.#devices = { PHONE: none(), TABLET: none() };
    this.appear('PHONE');
  }

  /** State and status as everything settles. */
  get text(): string {
    const state = best(devices.map((name) => this.#devices[name].word));
    return `${this.#goesIdle && state === 'online' ? 'unavailable' : state} ${this.status}`;
  }

  /** All that may be shown meanwhile. */
  get texts(): readonly string[] {
    const [phone, tablet] = devices.map((name) => this.#statesOf(this.#devices[name]));
    const all = (phone ?? []).flatMap((one) => (tablet ?? []).map((other) => best([one, other])));
    return [...new Set(all)].map((state) => `${state} ${this.status}`);
  }

  /** The device syncs, and says that it is online. */
  appear(name: DeviceName): void {
    const device = this.#devices[name];
    if (device.polls === 'online') return;
    Object.assign(device, { word: 'online', until: [], polls: 'online' });
    this.#poll(name);
  }

  /** The model's side of `put`; to be called before it. */
  willPut(name: DeviceName, state: PresenceState, status: string): void {
    Object.assign(this.#devices[name], { word: state, until: [] });
    this.status = status;
  }

  async put(name: DeviceName, state: PresenceState, status: string): Promise<void> {
    const { presence } = this.#world.host(this.userId);
    await presence.putPresence({ userId: this.userId, deviceId: name as DeviceId }, state, status);
  }

  /** The tablet goes on syncing without a word of its own: what it said lapses. */
  hide(): void {
    const device = this.#devices.TABLET;
    const until = this.#statesOf(device);
    Object.assign(device, { word: 'offline', until, polls: 'offline' });
    this.#poll('TABLET');
  }

  logOut(): void {
    const device = this.#devices.TABLET;
    device.endPoll();
    Object.assign(device, { word: 'offline', until: [], polls: null, endPoll: () => {} });
    this.#world.host(this.userId).presence.deviceGone(this.userId, 'TABLET' as DeviceId);
  }

  act(name: DeviceName): void {
    // Who has no tablet can do nothing with it.
    if (this.#devices[name].polls === null) return;
    this.#world.host(this.userId).presence.activity({ userId: this.userId, deviceId: name as DeviceId });
  }

  /** Another process, which may have been told less than this one. */
  afterRestart(): void {
    this.#devices.PHONE.until = states;
    for (const name of devices) if (this.#devices[name].polls !== null) this.#poll(name);
  }

  /** A minute has passed. */
  settled(): void {
    for (const name of devices) this.#devices[name].until = [];
  }

  #statesOf({ word, until }: Device): readonly PresenceState[] {
    const all = [word, ...until];
    return this.#goesIdle && all.includes('online') ? [...all, 'unavailable'] : all;
  }

  #poll(name: DeviceName): void {
    const device = this.#devices[name];
    const { endPoll } = device;
    device.endPoll = this.#world.device(this.userId, name).poll(device.polls ?? 'online', true);
    endPoll();
  }
}
