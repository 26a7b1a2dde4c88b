import { eventTypes } from '../../matrix/event-types.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import { isServerName } from '../../matrix/server-name.ts';
import { verifySignedJson } from '../../signing/sign-json.ts';
import { membershipIn } from '../auth-state.ts';
import { isObject, objectMember, ownMember } from '../members.ts';
import { mayAct } from '../power.ts';
import { type AuthVerdict, allow, reject } from '../verdict.ts';
import type { MemberCase } from './rule.ts';

/** 4.4. If membership is invite. */
export function checkInvite(subject: MemberCase): AuthVerdict {
  const { event, state, target, version } = subject;
  const { content, sender } = event.pdu;
  // 4.4.1. If content has a third_party_invite property: …
  const invite = ownMember(content, 'third_party_invite');
  if (invite !== undefined) return checkThirdPartyInvite(subject, invite);
  // 4.4.2. If the sender's current membership state is not join, reject.
  if (membershipIn(state, sender) !== 'join') return reject('the sender is not joined');
  // 4.4.3. If target user's current membership state is join or ban, reject.
  const membership = membershipIn(state, target);
  if (membership === 'join' || membership === 'ban') return reject('the user is joined or banned');
  // 4.4.4. If the sender's power level is greater than or equal to the invite level, allow. 5. Otherwise, reject.
  return mayAct(sender, 'invite', { state, version }) ? allow : reject('the sender may not invite');
}

/** 4.4.1. */
function checkThirdPartyInvite({ event, state, target }: MemberCase, invite: unknown): AuthVerdict {
  // 1. If target user is banned, reject.
  if (membershipIn(state, target) === 'ban') return reject('the user is banned');
  // 2. If content.third_party_invite does not have a signed property, reject.
  const signed = isObject(invite) ? ownMember(invite, 'signed') : undefined;
  if (!isObject(signed)) return reject('the third-party invite is not signed');
  // 3. If signed does not have mxid and token properties, reject.
  const mxid = ownMember(signed, 'mxid');
  const token = ownMember(signed, 'token');
  if (mxid === undefined || typeof token !== 'string') return reject('the third-party invite has no mxid or no token');
  // 4. If mxid does not match state_key, reject.
  if (mxid !== target) return reject("the third-party invite is another user's");
  // 5. If there is no m.room.third_party_invite event in the current room state with state_key matching token, reject.
  const promised = state(eventTypes.thirdPartyInvite, token);
  if (!promised) return reject('the room knows no such third-party invite');
  // 6. If sender does not match sender of the m.room.third_party_invite, reject.
  if (event.pdu.sender !== promised.pdu.sender) return reject('the third-party invite is of another sender');
  // 7. If any signature in signed matches any public key in the m.room.third_party_invite event, allow. 8. Otherwise, reject.
  return isSignedByAny(signed, listPublicKeys(promised.pdu.content))
    ? allow
    : reject('no key of the third-party invite signed it');
}

/**
 * "The public keys are in content of m.room.third_party_invite as: 1. A single public key in the public_key property. 2. A list of
 * public keys in the public_keys property."
 */
function listPublicKeys(content: JsonObject): string[] {
  const list = ownMember(content, 'public_keys');
  const listed = Array.isArray(list)
    ? list.map((entry: unknown) => isObject(entry) && ownMember(entry, 'public_key'))
    : [];
  return [ownMember(content, 'public_key'), ...listed].filter((key) => typeof key === 'string').slice(0, keysMax);
}

/** Each pair of key and signature costs a verification; real invites have two keys and one signature. */
const keysMax = 10;
const signaturesMax = 10;

function isSignedByAny(signed: JsonObject, publicKeys: readonly string[]): boolean {
  const signatures = objectMember(signed, 'signatures');
  const signers = Object.keys(signatures)
    .filter(isServerName)
    .flatMap((server) => Object.keys(objectMember(signatures, server)).map((keyId) => ({ server, keyId })))
    .slice(0, signaturesMax);
  return signers.some(({ server, keyId }) =>
    publicKeys.some((publicKey) => keyId.startsWith('ed25519:') && verifySignedJson(signed, server, keyId, publicKey)),
  );
}
