import { prevEventIdsOf } from '../../matrix/pdu.ts';
import { joinRuleIn, membershipIn } from '../auth-state.ts';
import { authorisedViaKey } from '../event/verify.ts';
import { ownMember } from '../members.ts';
import { creatorsOf, mayAct } from '../power.ts';
import { type AuthVerdict, allow, reject } from '../verdict.ts';
import type { MemberCase } from './rule.ts';

/** 4.3. If membership is join. */
export function checkJoin(subject: MemberCase): AuthVerdict {
  const { event, state, target, version } = subject;
  // 4.3.1. If the only previous event is an m.room.create and the state_key is the sender of the m.room.create (before v11: the
  // creator), allow.
  if (isCreatorsFirstJoin(subject)) return allow;
  // 4.3.2. If the sender does not match state_key, reject.
  if (event.pdu.sender !== target) return reject('nobody can join for another user');
  // 4.3.3. If the sender is banned, reject.
  const membership = membershipIn(state, target);
  if (membership === 'ban') return reject('the user is banned');
  const present = membership === 'invite' || membership === 'join';
  switch (joinRuleIn(state, version)) {
    // 4.3.4. If the join_rule is invite or knock (v7) then allow if membership state is invite or join.
    case 'invite':
    case 'knock':
      return present ? allow : reject('the user is not invited');
    // v8, 4.3.5. If the join_rule is restricted or knock_restricted (v10): 1. If membership state is join or invite, allow.
    case 'restricted':
    case 'knock_restricted':
      return present ? allow : checkAuthoriser(subject);
    // 4.3.6. If the join_rule is public, allow.
    case 'public':
      return allow;
    // 4.3.7. Otherwise, reject. So does a rule of a later version.
    default:
      return reject('the join rule lets nobody in');
  }
}

function isCreatorsFirstJoin({ event, create, target, version }: MemberCase): boolean {
  const [only, ...others] = prevEventIdsOf(event.pdu);
  if (only !== create.eventId || others.length > 0) return false;
  // Not the additional creators: they join like everybody else.
  return version.creatorFrom === 'content' ? creatorsOf(create, version).has(target) : create.pdu.sender === target;
}

/**
 * 4.3.5.2. If the join_authorised_via_users_server key in content is not a user with sufficient permission to invite other users or
 * is not a joined member of the room, reject. 3. Otherwise, allow.
 */
function checkAuthoriser({ event, state, version }: MemberCase): AuthVerdict {
  const authoriser = ownMember(event.pdu.content, authorisedViaKey);
  if (typeof authoriser !== 'string') return reject('the user is neither invited nor vouched for');
  if (membershipIn(state, authoriser) !== 'join') return reject('who vouches for the user is not joined');
  if (!mayAct(authoriser, 'invite', { state, version })) return reject('who vouches for the user may not invite');
  return allow;
}
