import { membershipIn } from '../auth-state.ts';
import { levelToAct, powerLevelOf } from '../power.ts';
import { type AuthVerdict, allow, reject } from '../verdict.ts';
import type { MemberCase } from './rule.ts';

/** 4.5. If membership is leave. */
export function checkLeave({ event, state, target, version }: MemberCase): AuthVerdict {
  const { sender } = event.pdu;
  const membership = membershipIn(state, target);
  // 4.5.1. If the sender matches state_key, allow if and only if that user's current membership state is invite, join, or knock (v7).
  if (sender === target) {
    const hasKnocked = version.knocking && membership === 'knock';
    const canLeave = membership === 'invite' || membership === 'join' || hasKnocked;
    return canLeave ? allow : reject('the user has nothing to leave');
  }
  // 4.5.2. If the sender's current membership state is not join, reject.
  if (membershipIn(state, sender) !== 'join') return reject('the sender is not joined');
  const power = powerLevelOf(sender, state, version);
  // 4.5.3. If the target user's current membership state is ban, and the sender's power level is less than the ban level, reject.
  if (membership === 'ban' && power < levelToAct('ban', { state, version }))
    return reject('the sender may not lift a ban');
  // 4.5.4. If the sender's power level is greater than or equal to the kick level, and the target user's power level is less than
  // the sender's power level, allow. 5. Otherwise, reject.
  const mayKick = power >= levelToAct('kick', { state, version }) && powerLevelOf(target, state, version) < power;
  return mayKick ? allow : reject('the sender may not kick the user');
}

/** 4.6. If membership is ban. */
export function checkBan({ event, state, target, version }: MemberCase): AuthVerdict {
  const { sender } = event.pdu;
  // 4.6.1. If the sender's current membership state is not join, reject.
  if (membershipIn(state, sender) !== 'join') return reject('the sender is not joined');
  // 4.6.2. If the sender's power level is greater than or equal to the ban level, and the target user's power level is less than
  // the sender's power level, allow. 3. Otherwise, reject.
  const power = powerLevelOf(sender, state, version);
  const mayBan = power >= levelToAct('ban', { state, version }) && powerLevelOf(target, state, version) < power;
  return mayBan ? allow : reject('the sender may not ban the user');
}
