import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { UserId } from '../../src/matrix/ids.ts';
import { callBytes, downloadPath, pngOf, thumbnailPath, upload } from '../support/media.ts';
import { startPair, type TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';

let a: TestServer;
let b: TestServer;
let admin: TestUser;
let alice: TestUser;
/** Of the other server. */
let bob: TestUser;
let pictures = 10;

beforeAll(async () => {
  [a, b] = await startPair({ media: { unauthenticated: true } });
  admin = await a.register('admin');
  await a.running.lantern.storage.commit({ rows: [{ kind: 'account_admin', userId: admin.userId as UserId }] });
  bob = await b.register('bob');
});
afterAll(async () => {
  await a.stop();
  await b.stop();
});

let users = 0;
let picture: Buffer<ArrayBuffer>;
beforeEach(async () => {
  users += 1;
  alice = await a.register(`alice${users}`);
  pictures += 1;
  picture = pngOf(pictures, 20);
});

const api = '/_synapse/admin/v1';
type Address = { server: string; id: string };
const quarantine = ({ server, id }: Address, by = admin, verb = 'quarantine') =>
  by.call('POST', `${api}/media/${verb}/${server}/${id}`);
const statusOf = async (user: TestUser, path: string): Promise<unknown[]> => {
  const { status, json } = await callBytes(`${user.url}${path}`, user);
  return status === 200 ? [200] : [status, json?.errcode];
};
const small = 'width=32&height=32&method=crop';
const gone = [404, 'M_NOT_FOUND'];

describe('a content in quarantine', () => {
  it('is there for nobody, neither whole nor small, by no path, and again when it is let go', async () => {
    const media = await upload(alice, picture, { type: 'image/png' });
    const paths = [
      downloadPath(media),
      `${downloadPath(media)}/x.png`,
      thumbnailPath(media, small),
      `/_matrix/media/v3/download/${media.server}/${media.id}`,
      `/_matrix/media/v3/thumbnail/${media.server}/${media.id}?${small}`,
    ];
    for (const path of paths) expect(await statusOf(alice, path)).toEqual([200]);
    expect(await quarantine(media)).toEqual({ status: 200, body: {} });
    for (const path of paths) for (const user of [alice, admin]) expect(await statusOf(user, path)).toEqual(gone);
    expect((await quarantine(media, admin, 'unquarantine')).status).toBe(200);
    for (const path of paths) expect(await statusOf(alice, path)).toEqual([200]);
  });

  it('is what its bytes are: other uploads of them too, before and behind, and no other picture', async () => {
    const first = await upload(alice, picture, { type: 'image/png' });
    const same = await upload(admin, picture, { type: 'text/plain', name: 'other.txt' });
    const other = await upload(alice, pngOf(pictures, 21), { type: 'image/png' });
    await quarantine(first);
    const later = await upload(alice, picture, { type: 'image/png' });
    for (const media of [first, same, later]) expect(await statusOf(alice, downloadPath(media))).toEqual(gone);
    expect(await statusOf(alice, downloadPath(other))).toEqual([200]);
    await quarantine(later, admin, 'unquarantine');
    for (const media of [first, same, later]) expect(await statusOf(alice, downloadPath(media))).toEqual([200]);
  });

  it('is not served to other servers', async () => {
    const media = await upload(alice, picture, { type: 'image/png' });
    await quarantine(media);
    expect(await statusOf(bob, downloadPath(media))).toEqual(gone);
    expect(await statusOf(bob, thumbnailPath(media, small))).toEqual(gone);
  });

  it('may be another server’s, and stays so when its copy goes and comes again', async () => {
    const media = await upload(bob, picture, { type: 'image/png' });
    expect(await quarantine(media)).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } });
    expect(await statusOf(alice, downloadPath(media))).toEqual([200]);
    await quarantine(media);
    expect(await statusOf(alice, downloadPath(media))).toEqual(gone);
    expect(await statusOf(alice, downloadPath(await upload(alice, picture)))).toEqual(gone);
    const address = { server: media.server as never, mediaId: media.id as never };
    await a.running.lantern.storage.commit({ rows: [{ kind: 'media_removed', address, atMs: a.clock.now() }] });
    expect(await statusOf(alice, downloadPath(media))).toEqual(gone);
    expect(await statusOf(bob, downloadPath(media))).toEqual([200]);
  });

  it('stays so over a restart', async () => {
    const media = await upload(alice, picture, { type: 'image/png' });
    await quarantine(media);
    a = await a.restart();
    for (const user of [alice, admin]) user.url = a.url;
    expect(await statusOf(alice, downloadPath(media))).toEqual(gone);
  });
});

describe('what is taken together', () => {
  it('is all that a room’s events name: pictures, small ones, encrypted ones, and not what was redacted', async () => {
    const contents = await Promise.all(
      ['a', 'b', 'c', 'd', 'redacted', 'elsewhere'].map((name) => upload(alice, `${name} ${pictures}`)),
    );
    const [whole, thumbnail, encrypted, avatar, redacted, elsewhere] = contents.map(({ uri }) => uri);
    const room = await alice.createRoom();
    const send = (content: Record<string, unknown>, id: string) =>
      alice.ok('PUT', `/rooms/${encodeURIComponent(room)}/send/m.room.message/${id}`, { body: 'x', ...content });
    await send({ url: whole, info: { thumbnail_url: thumbnail } }, '1');
    await send({ file: { url: encrypted } }, '2');
    await send({ url: 'mxc://odd/../x' }, '3');
    await send({ url: { a: 1 }, info: 'x' }, '4');
    await alice.ok('PUT', `/rooms/${encodeURIComponent(room)}/state/m.room.avatar`, { url: avatar });
    const { event_id: eventId } = await send({ url: redacted }, '5');
    await alice.ok('PUT', `/rooms/${encodeURIComponent(room)}/redact/${encodeURIComponent(eventId)}/6`, {});
    const path = `${api}/room/${encodeURIComponent(room)}/media/quarantine`;
    expect(await admin.call('POST', path)).toEqual({ status: 200, body: { num_quarantined: 4 } });
    const statuses = await Promise.all(contents.map(async (media) => (await statusOf(alice, downloadPath(media)))[0]));
    expect(statuses).toEqual([404, 404, 404, 404, 200, 200]);
    expect(elsewhere).toBeDefined();
    expect(await admin.ok('POST', path)).toEqual({ num_quarantined: 0 });
    expect((await admin.call('POST', `${api}/room/!none:here.test/media/quarantine`)).status).toBe(404);
  });

  it('is given back together too, of a room or of a user, and nothing else is', async () => {
    const mine = await Promise.all(['a', 'b', 'c'].map((name) => upload(alice, `${name} ${pictures}`)));
    const others = await upload(admin, `of the admin ${pictures}`);
    const [named] = mine;
    const room = await alice.createRoom();
    await alice.send(room, 'm.room.message', { body: 'x', url: named?.uri });
    for (const media of [...mine, others]) await quarantine(media);
    const statuses = () =>
      Promise.all([...mine, others].map(async (media) => (await statusOf(alice, downloadPath(media)))[0]));
    const ofRoom = `${api}/room/${encodeURIComponent(room)}/media/unquarantine`;
    expect(await admin.ok('POST', ofRoom)).toEqual({ num_unquarantined: 1 });
    expect(await statuses()).toEqual([200, 404, 404, 404]);
    const ofUser = `${api}/user/${encodeURIComponent(alice.userId)}/media/unquarantine`;
    expect(await admin.ok('POST', ofUser)).toEqual({ num_unquarantined: 2 });
    expect(await statuses()).toEqual([200, 200, 200, 404]);
    expect(await admin.ok('POST', ofUser)).toEqual({ num_unquarantined: 0 });
    expect((await admin.call('POST', `${api}/room/!none:here.test/media/unquarantine`)).status).toBe(404);
    for (const path of [ofRoom, ofUser]) expect((await alice.call('POST', path)).status).toBe(403);
  });

  it('is all that a user uploaded, and what somebody else has besides', async () => {
    const [one, two] = [await upload(alice, picture), await upload(alice, `text ${pictures}`)];
    await upload(alice, picture);
    const others = await upload(admin, `of the admin ${pictures}`);
    const path = `${api}/user/${encodeURIComponent(alice.userId)}/media/quarantine`;
    expect(await admin.ok('POST', path)).toEqual({ num_quarantined: 2 });
    for (const media of [one, two]) expect(await statusOf(admin, downloadPath(media))).toEqual(gone);
    expect(await statusOf(admin, downloadPath(others))).toEqual([200]);
  });

  it('is for administrators to take, and alone of what is here', async () => {
    const media = await upload(alice, picture);
    for (const verb of ['quarantine', 'unquarantine']) {
      expect(await quarantine(media, alice, verb)).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } });
      expect(await quarantine({ server: a.name, id: 'none' }, admin, verb)).toMatchObject({ status: 404 });
      expect(await quarantine({ server: a.name, id: '..%2F' }, admin, verb)).toMatchObject({ status: 404 });
    }
    const user = `${api}/user/${encodeURIComponent(alice.userId)}/media/quarantine`;
    expect((await alice.call('POST', user)).status).toBe(403);
    expect(await statusOf(alice, downloadPath(media))).toEqual([200]);
  });
});
