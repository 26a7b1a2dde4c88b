import { describe, expect, it } from 'vitest';
import { createLog, type LogLevel } from '../../../src/base/log.ts';

function logged(format: 'json' | 'readable', level: LogLevel = 'info') {
  const lines: string[] = [];
  return { lines, log: createLog({ level, format, write: (line) => void lines.push(line) }) };
}

describe('the log', () => {
  it('writes one JSON object a line, with the fields of its parents', () => {
    const { log, lines } = logged('json');
    log.child({ requestId: 'r1' }).info({ status: 200 }, 'answered');
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 30, requestId: 'r1', status: 200, msg: 'answered' });
    expect(lines[0]?.endsWith('\n')).toBe(true);
  });

  it('says nothing below its level', () => {
    const { log, lines } = logged('json', 'warn');
    log.info('not this');
    log.warn('this');
    expect(lines.join('')).toContain('"this"');
    expect(lines).toHaveLength(1);
  });

  it.each(['json', 'readable'] as const)('never writes secrets as %s', (format) => {
    const { log, lines } = logged(format);
    const secret = 'SeCrEtVaLuE';
    const child = log.child({ access_token: secret, headers: { Authorization: `Bearer ${secret}` } });
    child.info({ password: secret, body: { new_password: secret, deep: [{ refresh_token: secret }] } }, 'one');
    child.info({ url: `/sync?since=1&access_token=${secret}&x=1` }, `GET /sync?access_token=${secret}`);
    child.info({ header: `X-Matrix origin="a",key="ed25519:1",sig="${secret}"` }, `Bearer ${secret}`);
    child.error({ err: new Error(`with ${'access_token='}${secret}`, { cause: new Error(`Bearer ${secret}`) }) }, 'x');
    expect(lines.join('')).not.toContain(secret);
    expect(lines.join('')).toContain('[redacted]');
    expect(lines.join('')).toContain('since=1');
  });

  it('writes a readable line with time, level, message and fields', () => {
    const { log, lines } = logged('readable');
    log.warn({ room: '!a:b', count: 2 }, 'too many');
    expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} warn {2}too many {2}room=!a:b {2}count=2\n$/);
  });

  it('writes an error with its code, stack and cause', () => {
    const { log, lines } = logged('json');
    log.error({ err: Object.assign(new TypeError('broken', { cause: new Error('deeper') }), { code: 'ECODE' }) }, 'x');
    const { err } = JSON.parse(lines[0] ?? '');
    expect(err).toMatchObject({ type: 'TypeError', message: 'broken', code: 'ECODE', cause: { message: 'deeper' } });
    expect(err.stack).toContain('log.test.ts');
  });

  it('survives cycles, endless lists and texts, bytes and big integers', () => {
    const { log, lines } = logged('json');
    const cycle: Record<string, unknown> = { big: 5n, bytes: Buffer.from('abc'), none: undefined };
    cycle.self = cycle;
    log.info({ cycle, list: Array.from({ length: 10_000 }, (_, index) => index), text: 'x'.repeat(100_000) }, 'odd');
    expect(lines[0]?.length).toBeLessThan(10_000);
    expect(JSON.parse(lines[0] ?? '').cycle).toMatchObject({ big: '5', bytes: '[3 bytes]' });
  });
});
