import { describe, expect, it } from 'vitest';
import { supportedRoomVersions } from '../../../../src/matrix/room-versions.ts';
import { authEventRows, createRows } from './rules/create-rows.ts';
import { inviteRows } from './rules/invite-rows.ts';
import { banRows, knockRows, leaveRows } from './rules/leave-rows.ts';
import { joinRows, memberRows } from './rules/member-rows.ts';
import { aliasesRows, eventRows, redactionRows } from './rules/other-rows.ts';
import { powerRows } from './rules/power-rows.ts';
import { numbersOf, type Outcome } from './rules/rule-table.ts';
import { specRules } from './rules/spec-rules.ts';

const rows = [
  ...createRows,
  ...authEventRows,
  ...aliasesRows,
  ...memberRows,
  ...joinRows,
  ...inviteRows,
  ...leaveRows,
  ...banRows,
  ...knockRows,
  ...eventRows,
  ...powerRows,
  ...redactionRows,
].map((row) => ({ ...row, numbers: numbersOf(row) }));

function expectOutcome(outcome: Outcome, expected: string | RegExp): void {
  if (typeof expected === 'string') expect(outcome).toBe(expected);
  else expect(outcome).toMatch(expected);
}

describe.each(supportedRoomVersions)('the authorisation rules of room version %s', (version) => {
  it('are those of the specification, and each has its row', () => {
    const numbers = rows.flatMap(({ numbers }) => numbers.get(version) ?? []);
    expect([...new Set(numbers)].sort()).toEqual([...(specRules.get(version) ?? [])].sort());
  });

  for (const { numbers, passes, fails } of rows.filter((row) => row.numbers.has(version))) {
    const number = numbers.get(version);
    it(`${number} lets through ${passes[0]}`, async () => expectOutcome(await passes[1](version), 'allowed'));
    it(`${number} stops ${fails[0]}`, async () => expectOutcome(await fails[1](version), fails[2]));
  }
});

describe.each(supportedRoomVersions)('what room version %s has no rule about', (version) => {
  const absent = rows.filter((row) => !row.numbers.has(version));

  it('is told of each rule that it lacks', () => {
    expect(absent.filter(({ elsewhere }) => !elsewhere?.passes && !elsewhere?.fails)).toEqual([]);
  });

  for (const { at, passes, fails, elsewhere } of absent) {
    const passing = elsewhere?.passes;
    const failing = elsewhere?.fails;
    if (passing !== undefined)
      it(`${passes[0]} (${at}): ${passing}`, async () => expectOutcome(await passes[1](version), passing));
    if (failing !== undefined)
      it(`${fails[0]} (${at}): ${failing}`, async () => expectOutcome(await fails[1](version), failing));
  }
});
