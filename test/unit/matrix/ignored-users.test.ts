import { expect, test } from 'vitest';
import { ignoredUsersMax, parseIgnoredUsers } from '../../../src/matrix/ignored-users.ts';

test('the keys of ignored_users are ignored', () => {
  expect([...parseIgnoredUsers({ ignored_users: { '@a:b': {}, '@c:d': {} } })]).toEqual(['@a:b', '@c:d']);
});

test('keys that are no user ids are passed over', () => {
  expect([...parseIgnoredUsers({ ignored_users: { bob: {}, '@c:d': {} } })]).toEqual(['@c:d']);
});

test.each([[undefined], [{}], [{ ignored_users: null }], [{ ignored_users: ['@a:b'] }], [{ ignored_users: '@a:b' }]])(
  '%j ignores nobody',
  (content) => {
    expect(parseIgnoredUsers(content).size).toBe(0);
  },
);

test('a list without end is cut', () => {
  const users = Object.fromEntries(Array.from({ length: ignoredUsersMax + 5 }, (_, index) => [`@u${index}:b`, {}]));
  expect(parseIgnoredUsers({ ignored_users: users }).size).toBe(ignoredUsersMax);
});
