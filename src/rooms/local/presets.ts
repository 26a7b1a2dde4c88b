import type { JsonObject } from '../../matrix/pdu.ts';

/** Client-server API, `POST /createRoom`: what the presets set. */
export type Preset = 'private_chat' | 'trusted_private_chat' | 'public_chat';

export interface PresetRules {
  readonly joinRule: 'invite' | 'public';
  readonly historyVisibility: 'shared';
  /**
   * Undefined: forbidden, which is what a room without the event says ("Guest Access"). None is sent then, as other servers do and
   * as Complement counts the events of a new room.
   */
  readonly guestAccess: 'can_join' | undefined;
  /** "All invitees are given the same power level as the room creator." */
  readonly inviteesShareCreatorPower: boolean;
  /** The level an invite takes: anybody may invite into a private room, where nobody gets in otherwise. */
  readonly inviteLevel: number;
}

export const presets: Readonly<Record<Preset, PresetRules>> = {
  private_chat: {
    joinRule: 'invite',
    historyVisibility: 'shared',
    guestAccess: 'can_join',
    inviteesShareCreatorPower: false,
    inviteLevel: 0,
  },
  trusted_private_chat: {
    joinRule: 'invite',
    historyVisibility: 'shared',
    guestAccess: 'can_join',
    inviteesShareCreatorPower: true,
    inviteLevel: 0,
  },
  public_chat: {
    joinRule: 'public',
    historyVisibility: 'shared',
    guestAccess: undefined,
    inviteesShareCreatorPower: false,
    inviteLevel: 50,
  },
};

export const creatorPower = 100;
/** Where creators stand above all: "For example, set to 150 instead of 100." */
export const tombstonePower = 150;

/** The state events of a preset, in the order that the specification lists them. */
export function presetState(rules: PresetRules): { type: string; content: JsonObject }[] {
  const { joinRule, historyVisibility, guestAccess } = rules;
  return [
    { type: 'm.room.join_rules', content: { join_rule: joinRule } },
    { type: 'm.room.history_visibility', content: { history_visibility: historyVisibility } },
    ...(guestAccess ? [{ type: 'm.room.guest_access', content: { guest_access: guestAccess } }] : []),
  ];
}

/**
 * The default power levels. `privilegedCreators` (room version 12): creators have infinite power, are not listed, and a
 * tombstone takes more than any other state.
 */
export function defaultPowerLevels(options: {
  readonly admins: readonly string[];
  readonly rules: PresetRules;
  readonly privilegedCreators: boolean;
}): JsonObject {
  const admins = options.privilegedCreators ? [] : options.admins;
  return {
    users: Object.fromEntries(admins.map((userId) => [userId, creatorPower])),
    users_default: 0,
    events: {
      'm.room.name': 50,
      'm.room.avatar': 50,
      'm.room.canonical_alias': 50,
      'm.room.power_levels': 100,
      'm.room.history_visibility': 100,
      'm.room.server_acl': 100,
      'm.room.encryption': 100,
      'm.room.tombstone': options.privilegedCreators ? tombstonePower : 100,
    },
    events_default: 0,
    state_default: 50,
    ban: 50,
    kick: 50,
    redact: 50,
    invite: options.rules.inviteLevel,
  };
}
