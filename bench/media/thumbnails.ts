import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert } from '../../src/base/assert.ts';
import { silentLog } from '../../src/base/log.ts';
import { createImages } from '../../src/media/core/images.ts';
import { pngOf } from '../../test/support/media.ts';
import type { BenchPart } from '../support/run.ts';
import { watch } from '../support/watch.ts';

const side = 7_000;
const atOnce = 4;
const runs = 3;

/** Thumbnails of the largest pictures that are decoded, several at once: decoding must leave the loop to everybody else. */
export const thumbnailsPart: BenchPart = {
  name: 'thumbnails',
  run: async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lantern-bench-'));
    try {
      const path = join(folder, 'picture.png');
      writeFileSync(path, pngOf(side, side));
      const images = createImages({ pixelsMax: side * side, log: silentLog });
      const make = async (): Promise<void> => {
        const size = { width: 800, height: 600 };
        const made = await images.resize(path, { size, method: 'scale', animated: false, as: 'png' });
        assert(made !== undefined, 'the picture can be decoded');
      };
      // The decoder is loaded with the first one.
      await make();
      const watched = [];
      for (let run = 0; run < runs; run += 1) {
        watched.push(await watch(() => Promise.all(Array.from({ length: atOnce }, make))));
      }
      return [
        {
          name: `longest turn of the loop, ${atOnce} pictures of 49 megapixels`,
          unit: 'ms',
          // The smallest of all: what else the machine does, collecting garbage included, only adds.
          value: Math.min(...watched.map(({ longestTurnMs }) => longestTurnMs)),
          bound: { atMost: 20 },
        },
      ];
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};
