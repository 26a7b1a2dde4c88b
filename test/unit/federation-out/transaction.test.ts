import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../../src/base/json/canonical-json.ts';
import { systemRandom } from '../../../src/base/random.ts';
import {
  encodeEdu,
  listPduErrors,
  newTransactionId,
  transactionText,
} from '../../../src/federation-out/transaction.ts';
import type { EventId } from '../../../src/matrix/ids.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const origin = 'here.test' as ServerName;

describe('the text of a transaction', () => {
  it('is canonical JSON of what it carries, with the time of its id', () => {
    const transactionId = newTransactionId(new ManualClock(1_700_000_000_123), systemRandom);
    const eduTexts = ['{"content":{},"edu_type":"m.typing"}'];
    const pduTexts = ['{"a":1}', '{"b":"ü"}'];
    const text = transactionText({ origin, transactionId, eduTexts, pduTexts });
    const parsed: unknown = JSON.parse(text);
    expect(text).toBe(canonicalJson(parsed));
    expect(parsed).toEqual({
      origin,
      origin_server_ts: 1_700_000_000_123,
      pdus: [{ a: 1 }, { b: 'ü' }],
      edus: [{ edu_type: 'm.typing', content: {} }],
    });
  });

  it('has no list of EDUs where there are none, but always one of PDUs', () => {
    const text = transactionText({ origin, transactionId: '5-x', eduTexts: [], pduTexts: [] });
    expect(text).toBe('{"origin":"here.test","origin_server_ts":5,"pdus":[]}');
  });

  it('holds event texts byte for byte', () => {
    const pduText = '{"content":{"body":"\\u2028 kept"},"n":1}';
    expect(transactionText({ origin, transactionId: '5-x', eduTexts: [], pduTexts: [pduText] })).toContain(pduText);
  });
});

describe('transaction ids', () => {
  it('differ within one millisecond', () => {
    const clock = new ManualClock();
    const ids = new Set(Array.from({ length: 1_000 }, () => newTransactionId(clock, systemRandom)));
    expect(ids.size).toBe(1_000);
  });
});

describe('an EDU', () => {
  it('is encoded canonically', () => {
    expect(encodeEdu({ edu_type: 'm.x', content: { b: 1, a: 2 } })).toBe('{"content":{"a":2,"b":1},"edu_type":"m.x"}');
  });

  it('that cannot be signed has no text', () => {
    expect(encodeEdu({ edu_type: 'm.x', content: { half: 0.5 } })).toBeUndefined();
    expect(encodeEdu({ edu_type: 'm.x', content: { lone: '\ud800' } })).toBeUndefined();
  });
});

describe('the answer to a transaction', () => {
  it('names the events that were refused', () => {
    const ids = ['$a', '$b', '$c', '$d', '__proto__'] as EventId[];
    const pdus = { $a: {}, $b: { error: 'no' }, $c: { error: 7 }, $d: 'odd', $e: { error: 'never sent' } };
    expect(listPduErrors(pdus, ids)).toEqual([{ eventId: '$b', error: 'no' }]);
  });
});
