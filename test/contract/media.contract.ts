import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MediaId } from '../../src/matrix/mxc.ts';
import type { ServerName } from '../../src/matrix/server-name.ts';
import type { Row } from '../../src/storage/contract/commit.ts';
import type { AwaitedMediaRow, FileHash, MediaRow, ThumbnailRow } from '../../src/storage/contract/media.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import { alice, bob, commit, type OpenStorage } from './make.ts';

const here = 'a.test' as ServerName;
const there = 'b.test' as ServerName;
const hash = (letter: string) => letter.repeat(64) as FileHash;
const address = (mediaId: string, server = here) => ({ server, mediaId: mediaId as MediaId });

const fileOf = (letter: string, sniffedType: string | null = null): Row => ({
  kind: 'media_file',
  file: { hash: hash(letter), size: 10, sniffedType },
  atMs: 5,
});

function content(mediaId: string, letter: string, more: Partial<MediaRow> = {}): MediaRow {
  return {
    ...address(mediaId),
    source: 'upload',
    uploader: alice,
    hash: hash(letter),
    size: 10,
    contentType: 'image/png',
    fileName: null,
    createdAtMs: 1,
    lastUsedAtMs: 1,
    ...more,
  };
}

function awaited(mediaId: string, more: Partial<AwaitedMediaRow> = {}): AwaitedMediaRow {
  return { ...address(mediaId), source: 'upload', uploader: alice, createdAtMs: 1, expiresAtMs: 100, ...more };
}

const thumbnail = (source: string, letter: string, width = 32): ThumbnailRow => ({
  sourceHash: hash(source),
  width,
  height: 32,
  method: 'crop',
  animated: false,
  hash: hash(letter),
  size: 3,
  contentType: 'image/png',
});

const copy = (mediaId: string, letter: string, lastUsedAtMs: number, size = 10): MediaRow =>
  content(mediaId, letter, { server: there, source: 'remote', uploader: null, lastUsedAtMs, size });

export function describeMedia(open: OpenStorage): void {
  describe('media', () => {
    let storage: Storage;
    beforeEach(async () => {
      storage = await open();
    });
    afterEach(() => storage.stop());

    it('in quarantine are so by their file, at every address, until it ends', async () => {
      const rows: Row[] = [fileOf('a'), fileOf('b')];
      for (const media of [content('one', 'a'), content('two', 'a', { uploader: bob }), content('other', 'b')])
        rows.push({ kind: 'media', media });
      await commit(storage, rows);
      const isIn = async (mediaId: string) => {
        const found = await storage.media.findMedia(address(mediaId));
        return found?.awaited === false && found.quarantined;
      };
      const addresses = ['one', 'two', 'other', 'none'].map((mediaId) => address(mediaId));
      expect((await storage.media.listQuarantinable(addresses)).sort()).toEqual([hash('a'), hash('b')]);
      expect(await storage.media.listQuarantinableOf(bob)).toEqual([hash('a')]);
      const put: Row = { kind: 'media_quarantined', hash: hash('a'), by: alice, atMs: 7 };
      await commit(storage, [put]);
      await commit(storage, [put]);
      expect([await isIn('one'), await isIn('two'), await isIn('other')]).toEqual([true, true, false]);
      expect(await storage.media.listQuarantinable(addresses)).toEqual([hash('b')]);
      expect(await storage.media.listQuarantinableOf(bob)).toEqual([]);
      expect(await storage.media.listQuarantined(addresses)).toEqual([hash('a')]);
      expect(await storage.media.listQuarantined([address('other'), address('none')])).toEqual([]);
      expect(await storage.media.listQuarantinedOf(bob)).toEqual([hash('a')]);
      await commit(storage, [{ kind: 'media_unquarantined', hash: hash('a') }]);
      expect([await isIn('one'), await isIn('two'), await isIn('other')]).toEqual([false, false, false]);
      expect(await storage.media.listQuarantinedOf(bob)).toEqual([]);
    });

    const write = (...rows: Row[]) => commit(storage, rows);
    const put = (...media: MediaRow[]) => write(...media.map((one) => ({ kind: 'media' as const, media: one })));
    const remove = (mediaId: string, server = here) =>
      write({ kind: 'media_removed', address: address(mediaId, server), atMs: 50 });
    const unused = () => storage.media.listUnusedFiles(1_000_000_000_000_000, 10);
    const isUsed = async (letter: string) => (await storage.media.findFile(hash(letter)))?.isUsed;

    it('are found by server and id, with what their file is', async () => {
      await write(fileOf('a', 'image/png'));
      await put(content('one', 'a', { fileName: '☕.png' }));
      expect(await storage.media.findMedia(address('one'))).toEqual({
        ...content('one', 'a', { fileName: '☕.png' }),
        sniffedType: 'image/png',
        quarantined: false,
        awaited: false,
      });
      expect(await storage.media.findMedia(address('one', there))).toBeUndefined();
      expect(await storage.media.findMedia(address('two'))).toBeUndefined();
    });

    it('are awaited until their content comes, once', async () => {
      await write({ kind: 'media_awaited', media: awaited('one') }, fileOf('a'));
      expect(await storage.media.findMedia(address('one'))).toEqual({ ...awaited('one'), awaited: true });
      const expect1 = [{ kind: 'media_awaited' as const, address: address('one') }];
      const rows: Row[] = [{ kind: 'media', media: content('one', 'a') }];
      expect(await storage.commit({ rows, expect: expect1 })).toMatchObject({ outcome: 'committed' });
      expect(await storage.commit({ rows, expect: expect1 })).toMatchObject({ outcome: 'conflict' });
      const unknown = [{ kind: 'media_awaited' as const, address: address('two') }];
      expect(await storage.commit({ rows: [], expect: unknown })).toMatchObject({ outcome: 'conflict' });
      expect(await storage.media.findMedia(address('one'))).toMatchObject({ awaited: false });
    });

    it('are counted while they are awaited, for their owner and until they expire', async () => {
      await write(
        ...[awaited('one'), awaited('two', { expiresAtMs: 200 }), awaited('three', { uploader: bob })].map(
          (media): Row => ({ kind: 'media_awaited', media }),
        ),
      );
      expect(await storage.media.countAwaited(alice, 99)).toBe(2);
      expect(await storage.media.countAwaited(alice, 100)).toBe(1);
      expect(await storage.media.listExpired(99, 10)).toEqual([]);
      expect(await storage.media.listExpired(100, 10)).toEqual([address('one'), address('three')]);
      expect(await storage.media.listExpired(200, 1)).toHaveLength(1);
      await remove('one');
      expect(await storage.media.findMedia(address('one'))).toBeUndefined();
    });

    it('share a file, which is used until the last of them goes', async () => {
      await write(fileOf('a'));
      expect([await isUsed('a'), await unused()]).toEqual([false, [hash('a')]]);
      await put(content('one', 'a'), content('two', 'a', { uploader: bob }));
      expect([await isUsed('a'), await unused()]).toEqual([true, []]);
      await remove('one');
      expect(await isUsed('a')).toBe(true);
      await remove('two');
      expect([await isUsed('a'), await unused()]).toEqual([false, [hash('a')]]);
    });

    it('have files that are removed only while nothing refers to them', async () => {
      await write(fileOf('a'), fileOf('b'));
      await put(content('one', 'a'));
      await write({ kind: 'media_file_removed', hash: hash('a') }, { kind: 'media_file_removed', hash: hash('b') });
      expect(await storage.media.findFile(hash('a'))).toEqual({
        hash: hash('a'),
        size: 10,
        sniffedType: null,
        isUsed: true,
      });
      expect(await storage.media.findFile(hash('b'))).toBeUndefined();
    });

    it('have unused files in the order of their age, each announcement counting anew', async () => {
      await write({ ...fileOf('a'), atMs: 1 } as Row, { ...fileOf('b'), atMs: 2 } as Row);
      expect(await unused()).toEqual([hash('a'), hash('b')]);
      await write({ ...fileOf('a'), atMs: 3 } as Row);
      expect(await unused()).toEqual([hash('b'), hash('a')]);
      expect(await storage.media.listUnusedFiles(3, 10)).toEqual([hash('b')]);
      expect(await storage.media.listUnusedFiles(9, 1)).toEqual([hash('b')]);
    });

    it('give the file of what they replace free', async () => {
      await write(fileOf('a'), fileOf('b'));
      await put(copy('one', 'a', 1, 7));
      await put(copy('one', 'b', 2, 5));
      expect([await isUsed('a'), await isUsed('b'), await storage.media.sumCopies()]).toEqual([false, true, 5]);
    });

    it('have thumbnails that go with the last of them', async () => {
      await write(fileOf('a'), fileOf('t'), fileOf('u'));
      await put(content('one', 'a'), content('two', 'a'));
      await write(
        { kind: 'media_thumbnail', thumbnail: thumbnail('a', 't') },
        { kind: 'media_thumbnail', thumbnail: thumbnail('a', 'a', 96) },
        { kind: 'media_thumbnail', thumbnail: thumbnail('a', 'u') },
      );
      expect(await storage.media.findThumbnail(thumbnail('a', 't'))).toEqual(thumbnail('a', 't'));
      expect(await storage.media.findThumbnail({ ...thumbnail('a', 't'), animated: true })).toBeUndefined();
      // The one that came second is left out.
      expect([await isUsed('t'), await isUsed('u')]).toEqual([true, false]);
      await remove('one');
      expect(await isUsed('t')).toBe(true);
      await remove('two');
      expect(await storage.media.findThumbnail(thumbnail('a', 't'))).toBeUndefined();
      expect([await isUsed('a'), await isUsed('t')]).toEqual([false, false]);
    });

    it('get no thumbnail when they are gone', async () => {
      await write(fileOf('a'), fileOf('t'));
      await put(content('one', 'a'));
      await remove('one');
      await write({ kind: 'media_thumbnail', thumbnail: thumbnail('a', 't') });
      expect(await storage.media.findThumbnail(thumbnail('a', 't'))).toBeUndefined();
      expect(await isUsed('t')).toBe(false);
    });

    it('that are copies are summed and listed by their last use, uploads are not', async () => {
      await write(fileOf('a'), fileOf('b'));
      await put(content('own', 'a', { size: 1_000 }), copy('one', 'a', 30, 7), copy('two', 'b', 20, 5));
      expect(await storage.media.sumCopies()).toBe(12);
      expect(await storage.media.sumUploads(alice)).toBe(1_000);
      expect(await storage.media.sumUploads(bob)).toBe(0);
      const ids = async (before: number, limit = 10) =>
        (await storage.media.listCopiesByUse(before, limit)).map(({ mediaId, size }) => [mediaId, size]);
      expect(await ids(31)).toEqual([
        ['two', 5],
        ['one', 7],
      ]);
      expect(await ids(30)).toEqual([['two', 5]]);
      expect(await ids(31, 1)).toEqual([['two', 5]]);
      await write({ kind: 'media_used', address: address('two', there), atMs: 40 });
      expect(await ids(50)).toEqual([
        ['one', 7],
        ['two', 5],
      ]);
      await remove('one', there);
      expect(await storage.media.sumCopies()).toBe(5);
    });
  });
}
