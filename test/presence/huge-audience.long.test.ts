import { expect, it } from 'vitest';
import { acceptAll, big, joinMany, many } from '../support/presence-crowd.ts';
import { room, user, World } from '../support/presence-world.ts';

const alice = user('alice');

it('an update to an audience of more than a transaction continues in the next one, and is repeated whole later', async () => {
  const world = await World.start({});
  await world.join(room('a'), alice);
  const sent = () => world.takeTransactions(big);
  acceptAll(world);
  const users = many(26_000);
  await joinMany(world, room('a'), users);
  await world.share(alice, { denied_users: ['@nobody:big.test'] });
  await world.put(alice, 'online');
  await world.advance(1_000);
  await world.advance(3_000);
  const transactions = sent();
  expect(transactions.map(({ edus }) => edus)).toEqual([100, 2]);
  const named = transactions.flatMap(({ push }) => push.flatMap(({ allowed_recipients }) => allowed_recipients ?? []));
  expect(named).toHaveLength(26_000);
  expect(new Set(named).size).toBe(26_000);
  await world.advance(60_000);
  expect(sent().length).toBeGreaterThan(0);
});

it('an update to such an audience that is taken back half-way is taken back from all who had it', async () => {
  const world = await World.start({});
  await world.join(room('a'), alice);
  acceptAll(world);
  await joinMany(world, room('a'), many(26_000));
  await world.share(alice, { denied_users: ['@nobody:big.test'] });
  await world.put(alice, 'unavailable', 'the first');
  await world.advance(5_000);
  world.takeTransactions();
  await world.put(alice, 'unavailable', 'half-way');
  await world.advance(0);
  expect(world.takeTransactions(big).map(({ edus }) => edus)).toEqual([100]);
  await world.put(alice, 'unavailable', 'the first');
  await world.advance(5_000);
  const entries = world.takeTransactions(big).flatMap(({ push }) => push);
  expect(new Set(entries.map(({ status_msg }) => status_msg))).toEqual(new Set(['the first']));
  expect(new Set(entries.flatMap(({ allowed_recipients }) => allowed_recipients ?? [])).size).toBe(26_000);
});
