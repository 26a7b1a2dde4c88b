import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeSyncToken, parseSyncToken, positionOfSyncToken } from '../../../src/sync/token.ts';

const token = fc
  .record({
    position: fc.nat(),
    behind: fc.oneof(fc.constant(0), fc.nat()),
    typing: fc.record({
      epoch: fc.stringMatching(/^[A-Za-z0-9-]{1,20}$/),
      number: fc.nat(),
    }),
    presence: fc.stringMatching(/^[A-Za-z0-9_.~-]{0,30}$/),
  })
  .map(({ behind, ...rest }) => ({ ...rest, toDevice: Math.max(0, rest.position - behind) }));

test('what was written is read back', () => {
  fc.assert(
    fc.property(token, (value) => {
      expect(parseSyncToken(encodeSyncToken(value))).toEqual(value);
    }),
  );
});

test('any text is read as a token that is written the same, or not at all', () => {
  const texts = fc.oneof(
    fc.string(),
    token.map(encodeSyncToken).chain((text) =>
      fc.tuple(fc.nat(text.length), fc.string({ maxLength: 2 })).map(([at, more]) => {
        return text.slice(0, at) + more + text.slice(at);
      }),
    ),
  );
  fc.assert(
    fc.property(texts, (text) => {
      const parsed = parseSyncToken(text);
      if (parsed) expect(encodeSyncToken(parsed)).toBe(text);
    }),
  );
});

test.each([
  [''],
  ['garbage'],
  ['s0_1_e.1_'],
  ['s1_1_e.1'],
  ['s1_-1_e.1_'],
  ['s1_01_e.1_'],
  ['s1_1_e.01_'],
  ['s1_5-5_e.1_'],
  ['s1_5-6_e.1_'],
  ['s1_5-04_e.1_'],
  ['s1_5-_e.1_'],
  ['s1_9999999999999999_e.1_'],
  ['s1_1_.1_'],
  ['s1_1_e.1_with space'],
  ['s1_1_e.1_\n'],
  [`s1_1_e.1_${'x'.repeat(300)}`],
  ['t5_12'],
])('%j is no token', (text) => {
  expect(parseSyncToken(text)).toBeUndefined();
});

test('other endpoints get the position of a token', () => {
  expect(positionOfSyncToken('s1_77_e.1_p')).toBe(77);
  expect(positionOfSyncToken('s1_77-70_e.1_p')).toBe(77);
  expect(positionOfSyncToken('t77_1')).toBeUndefined();
});
