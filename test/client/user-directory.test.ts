import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { settle, startPair, type TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { encode, type Json, newUser, newUsers, refusal } from './rooms-support.ts';

let server: TestServer;
let other: TestServer;
beforeAll(async () => {
  [server, other] = await startPair();
});
afterAll(async () => {
  await server.stop();
  await other.stop();
});

async function search(user: TestUser, term: string, limit?: number): Promise<Json> {
  return user.ok('POST', '/user_directory/search', { search_term: term, ...(limit === undefined ? {} : { limit }) });
}

const idsOf = ({ results }: Json): string[] => results.map(({ user_id: userId }: Json) => userId);

function setName(user: TestUser, displayname: string): Promise<unknown> {
  return user.ok('PUT', `/profile/${encode(user.userId)}/displayname`, { displayname });
}

describe('the user directory', () => {
  it('finds people by name, by user id and by part of it, without regard to case, and never the searcher', async () => {
    const [alice, eve] = await newUsers(server, 'directory', 'eve');
    await setName(alice, 'Alice Cooper');
    await alice.ok('PUT', `/profile/${encode(alice.userId)}/avatar_url`, { avatar_url: 'mxc://a/b' });
    await alice.createRoom({ visibility: 'public' });
    await server.settle();
    const expected = { user_id: alice.userId, display_name: 'Alice Cooper', avatar_url: 'mxc://a/b' };
    for (const term of ['Alice Cooper', 'COOPER', ' coop ali ', alice.userId, alice.userId.slice(0, 9), '@direct']) {
      expect(await search(eve, term)).toEqual({ results: [expected], limited: false });
    }
    for (const term of ['', ' ', '@', '!', 'lice', `${alice.userId}x`]) {
      expect(await search(eve, term)).toEqual({ results: [], limited: false });
    }
    expect(idsOf(await search(alice, 'cooper'))).toEqual([]);
  });

  it('shows nobody whom the searcher has no room with and who is in none that is open', async () => {
    const [alice, bob, eve] = await newUsers(server, 'hidden', 'hidden', 'hidden');
    const roomId = await alice.createRoom({ invite: [bob.userId] });
    expect(idsOf(await search(bob, 'hidden'))).toEqual([]);
    await bob.join(roomId);
    expect(idsOf(await search(bob, 'hidden'))).toEqual([alice.userId]);
    expect(idsOf(await search(eve, alice.userId))).toEqual([]);
    await bob.leave(roomId);
    expect(idsOf(await search(bob, 'hidden'))).toEqual([]);
  });

  it('does not betray the name that somebody bears in one room', async () => {
    const [alice, bob, eve] = await newUsers(server, 'secretive', 'friend', 'stranger');
    await setName(alice, 'Publica');
    await alice.createRoom({ visibility: 'public' });
    const roomId = await bob.createRoom({ invite: [alice.userId] });
    await alice.join(roomId);
    await alice.setState(roomId, 'm.room.member', { membership: 'join', displayname: 'Freddy' }, alice.userId);
    for (const searcher of [bob, eve]) {
      expect((await search(searcher, 'publica')).results).toEqual([{ user_id: alice.userId, display_name: 'Publica' }]);
      expect(idsOf(await search(searcher, 'freddy'))).toEqual([]);
    }
  });

  it('puts whoever is just what was asked for first, gives as many as asked, and says if there are more', async () => {
    const crowd = await newUsers(server, 'crowd', 'crowd', 'crowd');
    const [first, second, third] = crowd;
    const roomId = await first.createRoom({ preset: 'public_chat' });
    for (const user of [second, third]) await user.join(roomId);
    await setName(first, 'Crowdy McCrowd');
    await setName(second, 'Crowdy McCrowd the Second');
    await setName(third, 'Crowdy');
    const searcher = await newUser(server, 'searcher');
    expect(idsOf(await search(searcher, 'crowdy'))).toEqual([third.userId, first.userId, second.userId]);
    const cut = await search(searcher, 'crowdy', 2);
    expect([idsOf(cut).length, cut.limited]).toEqual([2, true]);
    expect((await search(searcher, 'crowdy', 3)).limited).toBe(false);
  });

  it('finds people of other servers who are in a room with the searcher', async () => {
    const [alice, bob, carol] = [await newUser(server), await newUser(server), await newUser(other, 'faraway')];
    await setName(carol, 'Carolina');
    const roomId = await alice.createRoom({ invite: [carol.userId] });
    await settle(server, other);
    await carol.join(roomId, server.name);
    await settle(server, other);
    expect((await search(alice, 'carolina')).results).toEqual([{ user_id: carol.userId, display_name: 'Carolina' }]);
    expect(idsOf(await search(alice, carol.userId))).toEqual([carol.userId]);
    expect(idsOf(await search(bob, 'carolina'))).toEqual([]);
  });

  it('forgets who deactivated the account', async () => {
    const [alice, eve] = await newUsers(server, 'leaver', 'eve');
    await alice.createRoom({ preset: 'public_chat' });
    expect(idsOf(await search(eve, 'leaver'))).toEqual([alice.userId]);
    const identifier = { type: 'm.id.user', user: alice.userId };
    const auth = { type: 'm.login.password', identifier, password: 'correct horse' };
    await alice.ok('POST', '/account/deactivate', { auth });
    expect(idsOf(await search(eve, 'leaver'))).toEqual([]);
  });

  it.each([
    [{}, 'M_BAD_JSON'],
    [{ search_term: 7 }, 'M_BAD_JSON'],
    [{ search_term: 'x', limit: 0 }, 'M_BAD_JSON'],
    [{ search_term: 'x', limit: 'ten' }, 'M_BAD_JSON'],
    [{ search_term: 'x'.repeat(501) }, 'M_INVALID_PARAM'],
  ])('refuses a search for %j', async (body, errcode) => {
    const user = await newUser(server);
    const answer = await user.call('POST', '/user_directory/search', body);
    expect([answer.status, ['M_MISSING_PARAM', errcode].includes(refusal(answer)[1])]).toEqual([400, true]);
  });
});
