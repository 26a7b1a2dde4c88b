import type { JsonObject } from './pdu.ts';

/** The event types that the server itself reads or writes. */
export const eventTypes = {
  create: 'm.room.create',
  member: 'm.room.member',
  powerLevels: 'm.room.power_levels',
  joinRules: 'm.room.join_rules',
  historyVisibility: 'm.room.history_visibility',
  guestAccess: 'm.room.guest_access',
  canonicalAlias: 'm.room.canonical_alias',
  name: 'm.room.name',
  topic: 'm.room.topic',
  avatar: 'm.room.avatar',
  encryption: 'm.room.encryption',
  serverAcl: 'm.room.server_acl',
  tombstone: 'm.room.tombstone',
  pinnedEvents: 'm.room.pinned_events',
  thirdPartyInvite: 'm.room.third_party_invite',
  redaction: 'm.room.redaction',
  /** Had a meaning for the server until room version 5. */
  aliases: 'm.room.aliases',
  message: 'm.room.message',
  encrypted: 'm.room.encrypted',
  reaction: 'm.reaction',
  spaceChild: 'm.space.child',
  spaceParent: 'm.space.parent',
} as const;

/** `m.room.member`, `membership`. Whoever has no member event has left. */
export type MembershipState = 'join' | 'invite' | 'knock' | 'leave' | 'ban';

export function isMembershipState(value: unknown): value is MembershipState {
  return value === 'join' || value === 'invite' || value === 'knock' || value === 'leave' || value === 'ban';
}

/** What the content of a member event says; undefined when it says nothing that exists. */
export function findMembership(content: JsonObject): MembershipState | undefined {
  const value = Object.hasOwn(content, 'membership') ? content.membership : undefined;
  return isMembershipState(value) ? value : undefined;
}

/** Client-server API, "Stripped state": what helps somebody who is not in a room to recognise it. */
export const strippedStateTypes = [
  'm.room.create',
  'm.room.name',
  'm.room.avatar',
  'm.room.topic',
  'm.room.join_rules',
  'm.room.canonical_alias',
  'm.room.encryption',
] as const;
