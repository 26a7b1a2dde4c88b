import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isContentHashValid } from '../../src/engine/event/hash.ts';
import { parsePdu } from '../../src/engine/event/parse.ts';
import type { EventId } from '../../src/matrix/ids.ts';
import type { JsonObject } from '../../src/matrix/pdu.ts';
import { supportedRoomVersions } from '../../src/matrix/room-versions.ts';
import { HostileServer } from '../support/hostile-server.ts';
import { settle, TestServer } from '../support/server.ts';
import { StubRoom } from '../support/stub-room.ts';
import type { TestUser } from '../support/user.ts';

const given = ['1', '2'];

let a: TestServer;
let alice: TestUser;
let stub: HostileServer;

beforeAll(async () => {
  a = await TestServer.start();
  alice = await a.register('alice');
  stub = await HostileServer.start(a.clock.now());
});

afterAll(async () => {
  await stub.stop();
  await a.stop();
});

/** A room of alice's with a guest of another server. */
async function visit(version: string): Promise<StubRoom> {
  const room = await alice.createRoom({ preset: 'public_chat', room_version: version });
  const guest = await StubRoom.join(stub, a, room, stub.user('mallory'));
  await settle(a);
  return guest;
}

describe('what a server asks for', () => {
  it.each(supportedRoomVersions)('comes in the form of the room, in version %s', async (version) => {
    const guest = await visit(version);
    const first = (await alice.say(guest.roomId, 'first')) as EventId;
    const last = (await alice.say(guest.roomId, 'last')) as EventId;
    await settle(a);
    const ask = async (method: string, what: string, more: { query?: string; body?: JsonObject } = {}) => {
      const answer = await stub.call(a, method, what, more.body, { query: more.query ?? '' });
      expect([what, answer.status]).toEqual([what, 200]);
      return answer.body;
    };
    const idsOf = (pdus: JsonObject[]): string[] =>
      pdus.map((pdu) => {
        const parsed = parsePdu(pdu, guest.version);
        if (parsed.outcome !== 'parsed') throw new Error(parsed.reason);
        expect(parsed.event.roomId).toBe(guest.roomId);
        expect(isContentHashValid(parsed.event.pdu)).toBe(true);
        expect('event_id' in pdu).toBe(given.includes(version));
        for (const reference of [...parsed.event.pdu.prev_events, ...parsed.event.pdu.auth_events]) {
          expect(typeof reference).toBe(given.includes(version) ? 'object' : 'string');
        }
        return parsed.event.eventId;
      });
    const [room, at] = [encodeURIComponent(guest.roomId), encodeURIComponent(last)];
    expect(idsOf((await ask('GET', `v1/event/${at}`)).pdus)).toEqual([last]);
    const ids = await ask('GET', `v1/state_ids/${room}`, { query: `?event_id=${at}` });
    const state = await ask('GET', `v1/state/${room}`, { query: `?event_id=${at}` });
    expect(idsOf(state.pdus)).toEqual(ids.pdu_ids);
    expect(idsOf(state.auth_chain)).toEqual(ids.auth_chain_ids);
    const [create] = [...guest.events.values()].filter(({ pdu }) => pdu.type === 'm.room.create');
    expect(idsOf((await ask('GET', `v1/event_auth/${room}/${at}`)).auth_chain).includes(create?.eventId ?? '')).toBe(
      guest.version.createIsAuthEvent,
    );
    const history = await ask('GET', `v1/backfill/${room}`, { query: `?v=${at}&limit=3` });
    expect(idsOf(history.pdus)).toEqual([last, first, guest.latest[0]]);
    const body = { earliest_events: guest.latest, latest_events: [last], limit: 5, min_depth: 0 };
    const missing = await ask('POST', `v1/get_missing_events/${room}`, { body });
    expect(idsOf(missing.events)).toEqual([first]);
    expect(idsOf(stub.receivedPdus().slice(-2))).toEqual([first, last]);
  });

  it.each(supportedRoomVersions)(
    'begins with a template that leaves the id to the asking server, in version %s',
    async (version) => {
      const guest = await visit(version);
      const path = [guest.roomId, stub.user('nina')].map(encodeURIComponent).join('/');
      const ask = (what: string, query = '') => stub.call(a, 'GET', `v1/${what}/${path}`, undefined, { query });
      const { status, body } = await ask('make_join', `?ver=${version}&ver=99`);
      expect([status, body.room_version]).toEqual([200, version]);
      for (const key of ['event_id', 'hashes', 'signatures', 'unsigned']) expect(body.event).not.toHaveProperty(key);
      const other = version === '11' ? '10' : '11';
      const refused = { status: 400, body: { errcode: 'M_INCOMPATIBLE_ROOM_VERSION', room_version: version } };
      expect(await ask('make_join', `?ver=${other}`)).toMatchObject(refused);
      // "Defaults to [1]."
      expect((await ask('make_join')).status).toBe(version === '1' ? 200 : 400);
    },
  );
});
