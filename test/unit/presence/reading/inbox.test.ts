import { beforeEach, describe, expect, it } from 'vitest';
import type { DeviceId, UserId } from '../../../../src/matrix/ids.ts';
import { Inbox, Inboxes } from '../../../../src/presence/reading/inbox.ts';
import { ManualClock } from '../../../support/manual-clock.ts';

const [alice, bob, carol] = ['@alice:a', '@bob:a', '@carol:a'] as UserId[] as [UserId, UserId, UserId];
const [phone, laptop] = ['PHONE', 'LAPTOP'] as DeviceId[] as [DeviceId, DeviceId];
const shown = { state: 'online', statusMsg: null, currentlyActive: true } as const;

let clock: ManualClock;
let inbox: Inbox;

beforeEach(async () => {
  clock = new ManualClock();
  await clock.advance(5);
  inbox = new Inbox(clock);
});

const since = (number: number) => [...(inbox.entriesSince(number) ?? [])].map(([subject, { loss }]) => [subject, loss]);

describe('an inbox', () => {
  it('gives what was addressed since a number, each subject once, in the order of the last', () => {
    const start = inbox.last;
    inbox.putUpdate(alice);
    inbox.putUpdate(bob);
    inbox.putUpdate(alice);
    expect(since(start)).toEqual([
      [bob, false],
      [alice, false],
    ]);
    expect(since(inbox.last)).toEqual([]);
  });

  it('tells a loss once, and remembers so for ten thousand subjects', () => {
    expect(inbox.putLoss(alice)).toBe(true);
    expect(inbox.putLoss(alice)).toBe(false);
    for (let index = 0; index < 10_000; index += 1) inbox.putLoss(`@u${index}:a` as UserId);
    expect(inbox.putLoss(alice)).toBe(true);
  });

  it('grows its number with what is addressed to it, and with nothing else', async () => {
    const start = inbox.last;
    await clock.advance(1_000);
    expect(inbox.last).toBe(start);
    inbox.putUpdate(alice);
    const first = inbox.last;
    expect(first).toBeGreaterThan(start);
    inbox.putUpdate(bob);
    expect(inbox.last).toBe(first + 1);
  });

  it('knows without looking whether anything was addressed since a number', () => {
    const start = inbox.last;
    expect(inbox.hasSince(start)).toBe(false);
    inbox.putUpdate(alice);
    expect(inbox.hasSince(start)).toBe(true);
    expect(inbox.hasSince(inbox.last)).toBe(false);
    // Neither of a number that it cannot know anything about.
    expect(inbox.hasSince(start - 1)).toBe(true);
    expect(inbox.hasSince(inbox.last + 1)).toBe(true);
  });

  it('has nothing for a number taken after what was addressed', async () => {
    inbox.putUpdate(alice);
    await clock.advance(1);
    expect(inbox.hasSince(inbox.next())).toBe(false);
  });

  it('says a loss once, until there is something to lose again', () => {
    const start = inbox.last;
    expect(inbox.putLoss(alice)).toBe(true);
    expect(inbox.putLoss(alice)).toBe(false);
    expect(since(start)).toEqual([[alice, true]]);
    expect(inbox.putUpdate(alice)).toBe(true);
    expect(since(start)).toEqual([[alice, false]]);
    expect(inbox.putLoss(alice)).toBe(true);
  });

  it('does not repeat what was given at read time, but says what changed since', () => {
    inbox.noteGiven(alice, shown);
    expect(inbox.putUpdate(alice, shown)).toBe(false);
    expect(inbox.putUpdate(alice, { ...shown })).toBe(true);
    expect(inbox.putUpdate(alice)).toBe(true);
  });

  it('keeps what one of the devices has not fetched, and forgets what all have', () => {
    const start = inbox.last;
    inbox.noteFetched(inbox.deviceOf(phone), start);
    inbox.noteFetched(inbox.deviceOf(laptop), start);
    inbox.putUpdate(alice);
    inbox.noteFetched(inbox.deviceOf(phone), inbox.last);
    expect(since(start)).toEqual([[alice, false]]);
    expect(inbox.has(alice)).toBe(true);
    inbox.noteFetched(inbox.deviceOf(laptop), inbox.last);
    expect(inbox.has(alice)).toBe(false);
    expect(inbox.entriesSince(start)).toBeUndefined();
  });

  it('does not wait for a device that stays away', async () => {
    inbox.noteFetched(inbox.deviceOf(laptop), inbox.last);
    inbox.putUpdate(alice);
    await clock.advance(61_000);
    inbox.noteFetched(inbox.deviceOf(phone), inbox.last);
    expect(inbox.has(alice)).toBe(false);
  });

  it('waits for a device whose long-poll lasts', async () => {
    const start = inbox.last;
    inbox.beginPoll(laptop);
    inbox.noteFetched(inbox.deviceOf(laptop), start);
    inbox.putUpdate(alice);
    await clock.advance(300_000);
    inbox.noteFetched(inbox.deviceOf(phone), inbox.last);
    expect(since(start)).toEqual([[alice, false]]);
  });

  it('does not serve numbers that it did not give', () => {
    expect(inbox.entriesSince(inbox.last + 1)).toBeUndefined();
    expect(inbox.entriesSince(inbox.last - 1)).toBeUndefined();
  });

  it('remembers of a bounded number of tokens what they stand for', () => {
    for (let index = 0; index < 20; index += 1) inbox.setEquivalent(`t${index}`, index);
    expect(inbox.findEquivalent('t3')).toBeUndefined();
    expect(inbox.findEquivalent('t19')).toBe(19);
  });

  it('is bounded: the oldest entries go, and with them the numbers before', () => {
    const start = inbox.last;
    for (let index = 0; index < 50_001; index += 1) inbox.putUpdate(`@u${index}:a` as UserId);
    expect(inbox.entriesSince(start)).toBeUndefined();
    expect(since(start + 1)).toHaveLength(50_000);
  });

  it('that was full does not serve the numbers before because a device has fetched that is ahead of another', () => {
    const start = inbox.last;
    const [ahead, behind] = [phone, laptop].map((deviceId) => inbox.beginPoll(deviceId));
    if (ahead && behind) for (const device of [ahead, behind]) inbox.noteFetched(device, start);
    for (let index = 0; index < 50_001; index += 1) inbox.putUpdate(`@u${index}:a` as UserId);
    if (ahead) inbox.noteFetched(ahead, inbox.last);
    expect(inbox.entriesSince(start)).toBeUndefined();
  });
});

describe('the inboxes', () => {
  const connected = new Set<UserId>();
  const roster = {
    connect: (userId: UserId) => void connected.add(userId),
    disconnect: (userId: UserId) => void connected.delete(userId),
  };

  it('stay for a minute after the last sync, whenever that was', async () => {
    const inboxes = new Inboxes({ clock, roster });
    const opened = inboxes.open(carol);
    await clock.advance(50_000);
    opened.beginPoll(phone);
    opened.endPoll(opened.deviceOf(phone));
    await clock.advance(59_000);
    expect(inboxes.find(carol)).toBe(opened);
    await clock.advance(1_000);
    expect(inboxes.find(carol)).toBeUndefined();
    inboxes.stop();
  });

  it('exist for who is connected, and a minute longer', async () => {
    const inboxes = new Inboxes({ clock, roster });
    const opened = inboxes.open(carol);
    opened.beginPoll(phone);
    expect(connected).toEqual(new Set([carol]));
    await clock.advance(600_000);
    expect(inboxes.find(carol)).toBe(opened);
    opened.endPoll(opened.deviceOf(phone));
    await clock.advance(59_000);
    expect(inboxes.open(carol)).toBe(opened);
    await clock.advance(62_000);
    expect(inboxes.find(carol)).toBeUndefined();
    expect(connected.size).toBe(0);
    expect(inboxes.open(carol)).not.toBe(opened);
    inboxes.stop();
    expect(clock.pendingCount).toBe(0);
  });
});
