import { joinRuleIn, membershipIn } from '../auth-state.ts';
import { type AuthVerdict, allow, reject } from '../verdict.ts';
import type { MemberCase } from './rule.ts';

/** v7, 4.7. If membership is knock. */
export function checkKnock({ event, state, target, version }: MemberCase): AuthVerdict {
  // 4.7.1. If the join_rule is anything other than knock or knock_restricted (v10), reject.
  const joinRule = joinRuleIn(state, version);
  if (joinRule !== 'knock' && joinRule !== 'knock_restricted') return reject('nobody can knock on this room');
  // 4.7.2. If sender does not match state_key, reject.
  if (event.pdu.sender !== target) return reject('nobody can knock for another user');
  // 4.7.3. If the sender's current membership is not ban, invite, or join, allow. 4. Otherwise, reject.
  const membership = membershipIn(state, target);
  return membership === 'leave' || membership === 'knock' ? allow : reject('the user is banned, invited or joined');
}
