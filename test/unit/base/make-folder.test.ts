import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeFolder } from '../../../src/base/make-folder.ts';

describe('Making a folder', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'lantern-make-folder-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('makes those above it too, all with the mode that is asked for', () => {
    makeFolder(join(folder, 'a', 'b'), 0o700);
    for (const made of [join(folder, 'a'), join(folder, 'a', 'b')]) expect(statSync(made).mode & 0o777).toBe(0o700);
  });

  it('leaves one that is there as it is', () => {
    makeFolder(join(folder, 'a'), 0o700);
    makeFolder(join(folder, 'a'), 0o755);
    expect(statSync(join(folder, 'a')).mode & 0o777).toBe(0o700);
  });

  it('is refused where a file has its name', () => {
    writeFileSync(join(folder, 'file'), '');
    expect(() => makeFolder(join(folder, 'file'))).toThrow('EEXIST');
  });

  it('is refused below a file', () => {
    writeFileSync(join(folder, 'file'), '');
    expect(() => makeFolder(join(folder, 'file', 'a'))).toThrow(/EEXIST|ENOTDIR/);
  });

  it.runIf(existsSync('/proc/self'))('is refused where the system lets nobody make one', () => {
    expect(() => makeFolder('/proc/nope')).toThrow('ENOENT');
    expect(() => makeFolder('/proc/nope/deeper')).toThrow('ENOENT');
  });
});
