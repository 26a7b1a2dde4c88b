import { describe, expect, it } from 'vitest';
import { chooseSize, ownSize } from '../../../src/media/thumbnail-sizes.ts';
import { decidePlan } from '../../../src/media/thumbnails.ts';
import type { FileHash } from '../../../src/storage/contract/media.ts';

const sizes = [
  { width: 32, height: 32, method: 'crop' as const },
  { width: 96, height: 96, method: 'crop' as const },
  { width: 640, height: 480, method: 'scale' as const },
  { width: 320, height: 240, method: 'scale' as const },
];

describe('the size of a thumbnail', () => {
  it.each([
    [1, 1, 'crop', 32],
    [32, 32, 'crop', 32],
    [33, 1, 'crop', 96],
    [97, 97, 'crop', 0],
    [1, 1, 'scale', 320],
    [320, 241, 'scale', 640],
    [640, 480, 'scale', 640],
    [641, 1, 'scale', 0],
  ] as const)('for %i×%i by %s is the next larger of the configuration: %i', (width, height, method, expected) => {
    expect(chooseSize(sizes, { width, height, method }).width).toBe(expected);
  });
});

describe('a thumbnail', () => {
  const key = { sourceHash: 'x' as FileHash, width: 100, height: 100, method: 'scale' as const, animated: false };
  const facts = (width: number, height: number, frames = 1) => ({
    width,
    height,
    frames,
    pixels: width * height * frames,
  });
  const plan = (type: string, picture: ReturnType<typeof facts>, more: Partial<typeof key> = {}) => {
    const decided = decidePlan({ type, facts: picture, key: { ...key, ...more }, pixelsMax: 1_000_000 });
    return decided.outcome === 'make' ? [decided.wish.as, decided.wish.animated] : decided.outcome;
  };

  it.each([
    ['a small picture is sent as it is', 'image/png', facts(100, 100), {}, 'itself'],
    ['a larger one is made smaller', 'image/png', facts(101, 100), {}, ['png', false]],
    ['a photograph stays one', 'image/jpeg', facts(500, 500), {}, ['jpeg', false]],
    ['a still GIF becomes a PNG', 'image/gif', facts(500, 500), {}, ['png', false]],
    ['a small moving one is never sent where a still one is wanted', 'image/gif', facts(50, 50, 3), {}, ['png', false]],
    ['a small moving one is sent where it may move', 'image/gif', facts(50, 50, 3), { animated: true }, 'itself'],
    ['a large moving one moves on as WebP', 'image/gif', facts(500, 500, 3), { animated: true }, ['webp', true]],
    ['one with too many frames stands still', 'image/gif', facts(500, 500, 5), { animated: true }, ['png', false]],
    ['what cannot move does not', 'image/jpeg', facts(500, 500), { animated: true }, ['jpeg', false]],
    ['a PNG that may move is made still', 'image/apng', facts(50, 50), {}, ['png', false]],
    ['a small AVIF is no thumbnail that everybody can show', 'image/avif', facts(50, 50), {}, ['webp', false]],
    ['a picture with too many pixels is refused', 'image/png', facts(1_001, 1_000), {}, 'too large'],
    ['in its own size a picture is sent as it is, however large', 'image/png', facts(5_000, 5_000), ownSize, 'itself'],
    ['in its own size a moving one is made still', 'image/webp', facts(500, 500, 2), ownSize, ['webp', false]],
  ] as const)('%s', (_what, type, picture, more, expected) => {
    expect(plan(type, picture, more)).toEqual(expected);
  });
});
