import type { EventId } from '../matrix/ids.ts';

/** What the authorisation rules say of an event against one state. `reason` names the rule for a log or an error message. */
export type AuthVerdict = { readonly allowed: true } | { readonly allowed: false; readonly reason: string };

export const allow: AuthVerdict = { allowed: true };

export function reject(reason: string): AuthVerdict {
  return { allowed: false, reason };
}

/**
 * What becomes of a received PDU (server-server API, "Checks performed on receipt of a PDU"). dropped: no event, or not signed; as if
 * it had never come. rejected: kept, so that nothing that builds on it is trusted. soft_failed: stands in the graph, is shown to
 * nobody. waiting: something it refers to must be fetched first.
 */
export type PduVerdict =
  | { readonly verdict: 'accepted' }
  | { readonly verdict: 'soft_failed' | 'rejected' | 'dropped'; readonly reason: string }
  | { readonly verdict: 'waiting'; readonly missing: readonly EventId[] };

/** Checks 4 to 6 in their order: the auth events, the state before the event, the room's current state. */
export function decidePduVerdict(checks: {
  byAuthEvents: AuthVerdict;
  byStateBefore: AuthVerdict;
  byCurrentState: AuthVerdict;
}): PduVerdict {
  if (!checks.byAuthEvents.allowed) return { verdict: 'rejected', reason: checks.byAuthEvents.reason };
  if (!checks.byStateBefore.allowed) return { verdict: 'rejected', reason: checks.byStateBefore.reason };
  if (!checks.byCurrentState.allowed) return { verdict: 'soft_failed', reason: checks.byCurrentState.reason };
  return { verdict: 'accepted' };
}
