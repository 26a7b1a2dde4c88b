import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { silentLog } from '../../../../src/base/log.ts';
import { type Checkpoint, CheckpointThread } from '../../../../src/storage/sqlite/core/checkpoint-thread.ts';
import { Checkpoints } from '../../../../src/storage/sqlite/core/checkpoints.ts';
import { openDatabase } from '../../../../src/storage/sqlite/core/database.ts';

/** A worker whose answers are given, and what happened in its order. */
function setUp(answers: (Checkpoint | Error)[]) {
  const story: string[] = [];
  const worker = {
    async run() {
      story.push('checkpoint');
      const answer = answers.shift();
      if (answer === undefined || answer instanceof Error) throw answer ?? new Error('asked too often');
      return answer;
    },
    async stop() {
      story.push('stop');
    },
  };
  const holdCommits = async (task: () => Promise<void>) => {
    story.push('hold');
    await task();
    story.push('release');
  };
  return { story, checkpoints: new Checkpoints({ worker, holdCommits, log: silentLog }) };
}

describe('checkpoints', () => {
  it('are made when four thousand rows were written, not before', async () => {
    const { story, checkpoints } = setUp([{ log: 900, checkpointed: 850 }]);
    checkpoints.wrote(3_999);
    await checkpoints.idle();
    expect(story).toEqual([]);
    checkpoints.wrote(1);
    await checkpoints.idle();
    expect(story).toEqual(['checkpoint']);
  });

  it('run one at a time', async () => {
    const { story, checkpoints } = setUp([{ log: 900, checkpointed: 850 }]);
    checkpoints.wrote(4_000);
    checkpoints.wrote(4_000);
    await checkpoints.idle();
    expect(story).toEqual(['checkpoint']);
  });

  it('hold commits only for the rest of a long log', async () => {
    const { story, checkpoints } = setUp([
      { log: 16_000, checkpointed: 15_900 },
      { log: 16_010, checkpointed: 16_010 },
    ]);
    checkpoints.wrote(4_000);
    await checkpoints.idle();
    expect(story).toEqual(['checkpoint', 'hold', 'checkpoint', 'release']);
  });

  it('hold nothing where the end of a long log was reached', async () => {
    const { story, checkpoints } = setUp([{ log: 16_000, checkpointed: 16_000 }]);
    checkpoints.wrote(4_000);
    await checkpoints.idle();
    expect(story).toEqual(['checkpoint']);
  });

  it('that failed are tried again later', async () => {
    const { story, checkpoints } = setUp([new Error('the disk is full'), { log: 900, checkpointed: 900 }]);
    checkpoints.wrote(4_000);
    await checkpoints.idle();
    checkpoints.wrote(4_000);
    await checkpoints.idle();
    await checkpoints.stop();
    expect(story).toEqual(['checkpoint', 'checkpoint', 'stop']);
  });
});

describe('the thread of checkpoints', () => {
  it('brings the log to its end, so that it begins anew', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lantern-test-'));
    const file = join(folder, 'lantern.db');
    const database = openDatabase(file, 'normal');
    const thread = new CheckpointThread(file);
    try {
      database.connection.exec('CREATE TABLE blobs (bytes BLOB)');
      const insert = database.connection.prepare('INSERT INTO blobs VALUES (zeroblob(40000))');
      for (let n = 0; n < 20; n += 1) insert.run();
      const done = await thread.run();
      expect(done.checkpointed).toBe(done.log);
      const { size } = statSync(`${file}-wal`);
      for (let n = 0; n < 10; n += 1) insert.run();
      expect(statSync(`${file}-wal`).size).toBe(size);
    } finally {
      await thread.stop();
      database.close();
      rmSync(folder, { recursive: true });
    }
  });

  it('says that there is no such database, and stops where it never began', async () => {
    await expect(new CheckpointThread(join(tmpdir(), 'nowhere', 'lantern.db')).run()).rejects.toThrow('directory');
    await new CheckpointThread('nowhere').stop();
  });
});
