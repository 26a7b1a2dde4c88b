import { isUserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import { authorisedViaKey } from '../event/verify.ts';
import { ownMember } from '../members.ts';
import { type AuthVerdict, reject } from '../verdict.ts';
import { checkInvite } from './member-invite.ts';
import { checkJoin } from './member-join.ts';
import { checkKnock } from './member-knock.ts';
import { checkBan, checkLeave } from './member-leave.ts';
import type { AuthCase } from './rule.ts';

/** 4. If type is m.room.member. */
export function checkMember(subject: AuthCase): AuthVerdict {
  const { content, state_key: target } = subject.event.pdu;
  const membership = ownMember(content, 'membership');
  // 4.1. If there is no state_key property, or no membership property in content, reject.
  if (target === undefined || membership === undefined)
    return reject('the member event names no user or no membership');
  // A user's membership is meant: no other state key can be one's own, nor be acted on.
  if (!isUserId(target)) return reject('the state key is not a user id');
  switch (membership) {
    case 'join':
      // v8, 4.2. If content has a join_authorised_via_users_server key: if the event is not validly signed by the homeserver of the
      // user ID denoted by the key, reject. (`findMissingSigner` has checked the signature; here, that there is a server to sign.)
      if (subject.version.restrictedJoins && !namesGoodAuthoriser(content))
        return reject(`${authorisedViaKey} is not a user id`);
      return checkJoin({ ...subject, target });
    case 'invite':
      return checkInvite({ ...subject, target });
    case 'leave':
      return checkLeave({ ...subject, target });
    case 'ban':
      return checkBan({ ...subject, target });
    case 'knock':
      if (subject.version.knocking) return checkKnock({ ...subject, target });
      return unknownMembership;
    default:
      return unknownMembership;
  }
}

/** 4.8. Otherwise, the membership is unknown. Reject. */
const unknownMembership = reject('the membership is unknown');

function namesGoodAuthoriser(content: JsonObject): boolean {
  const authoriser = ownMember(content, authorisedViaKey);
  return authoriser === undefined || isUserId(authoriser);
}
