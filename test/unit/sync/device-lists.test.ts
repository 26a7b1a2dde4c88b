import { beforeAll, beforeEach, expect, test } from 'vitest';
import { RoomBuilder } from '../../support/room-builder.ts';
import { SyncFixture } from '../../support/sync-fixture.ts';

let fixture: SyncFixture;
let alice: string;
let bob: string;
let carol: string;
let room: RoomBuilder;

beforeAll(async () => {
  fixture = await SyncFixture.open();
});

beforeEach(async () => {
  ({ alice, bob, carol } = fixture.freshPeople());
  room = await RoomBuilder.create(fixture.storage, alice);
});

/** What alice's device hears of others' devices because of what `happens`. */
async function news(happens: () => Promise<unknown>, filter?: unknown) {
  const asked = filter === undefined ? {} : { filter };
  const before = await fixture.sync(alice, asked);
  await happens();
  return (await fixture.sync(alice, { ...asked, since: before.next_batch })).device_lists;
}

test('whoever comes to a room has devices to look up', async () => {
  expect(await news(() => room.join(bob))).toEqual({ changed: [bob], left: [] });
});

test('so has everybody in a room that one comes to oneself', async () => {
  const other = await RoomBuilder.create(fixture.storage, bob);
  await other.join(carol);
  const lists = await news(() => other.join(alice));
  // Oneself too: the others there will look for one's other devices.
  expect(new Set(lists.changed)).toEqual(new Set([alice, bob, carol]));
  expect(lists.left).toEqual([]);
});

test('who was met in another room all the time is not looked up again', async () => {
  await room.join(bob);
  const other = await RoomBuilder.create(fixture.storage, alice);
  expect(await news(() => other.join(bob))).toBeUndefined();
  const third = await RoomBuilder.create(fixture.storage, bob);
  expect(await news(() => third.join(alice))).toBeUndefined();
});

test('two rooms at once count as one meeting', async () => {
  const other = await RoomBuilder.create(fixture.storage, alice);
  const both = async () => {
    await room.join(bob);
    await other.join(bob);
  };
  expect(await news(both)).toEqual({ changed: [bob], left: [] });
});

test('whoever goes from the last room in common may be forgotten, and is said again to the same token', async () => {
  await room.join(bob);
  const before = await fixture.sync(alice);
  await room.leave(bob);
  for (let asked = 0; asked < 2; asked++) {
    const { device_lists } = await fixture.sync(alice, { since: before.next_batch });
    expect(device_lists).toEqual({ changed: [], left: [bob] });
  }
});

test('so may everybody in a room that one goes from oneself, and who went from it before', async () => {
  await room.join(bob);
  await room.join(carol);
  const both = async () => {
    await room.leave(carol);
    await room.leave(alice);
  };
  const lists = await news(both);
  expect(new Set(lists.left)).toEqual(new Set([bob, carol]));
  expect(lists.changed).toEqual([]);
});

test('who is still met elsewhere is kept', async () => {
  await room.join(bob);
  const other = await RoomBuilder.create(fixture.storage, alice);
  await other.join(bob);
  expect(await news(() => other.leave(bob))).toBeUndefined();
});

test('who goes and comes back is looked up again, for what was missed meanwhile', async () => {
  await room.join(bob);
  const both = async () => {
    await room.leave(bob);
    await room.join(bob);
  };
  expect(await news(both)).toEqual({ changed: [bob], left: [] });
});

test('who comes and goes again is forgotten', async () => {
  const both = async () => {
    await room.join(bob);
    await room.leave(bob);
  };
  expect(await news(both)).toEqual({ changed: [], left: [bob] });
});

test('neither strangers nor what happens in a room without coming or going is told', async () => {
  await room.join(bob);
  const other = await RoomBuilder.create(fixture.storage, carol);
  const much = async () => {
    await other.join(bob);
    await room.say(bob, 'hello');
    await room.member(bob, bob, 'join', { displayname: 'Robert' });
    await room.member(alice, carol, 'invite');
  };
  expect(await news(much)).toBeUndefined();
});

test('an initial sync tells nothing: everybody has to be looked up anyway', async () => {
  await room.join(bob);
  expect(await fixture.sync(alice)).not.toHaveProperty('device_lists');
});

test('a filter of rooms does not matter, and news of devices alone end a wait', async () => {
  const filter = { room: { rooms: [] }, presence: { types: [] } };
  expect(await news(() => room.join(bob), filter)).toEqual({ changed: [bob], left: [] });
  expect(await news(() => room.leave(alice), filter)).toEqual({ changed: [], left: [bob] });
});
