import { describe, expect, it } from 'vitest';
import { readUsage, usageBetween } from '../../../bench/support/process-usage.ts';

describe('the use of a process', () => {
  it('is read, of this one, and grows with what it does', () => {
    const before = readUsage(process.pid);
    expect(before.rssMiB).toBeGreaterThan(10);
    expect(before.rssPeakMiB).toBeGreaterThanOrEqual(before.rssMiB);
    let after = readUsage(process.pid);
    while (after.cpuMs === before.cpuMs) after = readUsage(process.pid);
    const { cpuMs, share } = usageBetween(before, after);
    expect(cpuMs).toBeGreaterThan(0);
    expect(share).toBeGreaterThan(0);
  });

  it('of none cannot be read', () => {
    expect(() => readUsage(2 ** 30)).toThrow('ENOENT');
  });
});
