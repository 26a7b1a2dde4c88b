import type { UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';

export type CrossSigningUsage = 'master' | 'self_signing' | 'user_signing';

export interface CrossSigningKeyRow {
  userId: UserId;
  usage: CrossSigningUsage;
  /** Unpadded base64. */
  publicKey: string;
  /** As it was uploaded. */
  key: JsonObject;
}

/** A signature that a local user made with one of their keys. */
export interface KeySignatureRow {
  targetUserId: UserId;
  /** A device id, or the public key of a cross-signing key. */
  target: string;
  signerUserId: UserId;
  /** With its algorithm: `ed25519:…`. */
  signerKeyId: string;
  signature: string;
}

export type CrossSigningTableRow =
  /** Replaces the user's key of this usage; signatures of another one before it go. */
  | ({ kind: 'cross_signing_key' } & CrossSigningKeyRow)
  | { kind: 'cross_signing_key_removed'; userId: UserId; usage: CrossSigningUsage }
  | ({ kind: 'key_signature' } & KeySignatureRow);

export interface CrossSigningReads {
  /** Of local users. */
  listCrossSigningKeys(userIds: readonly UserId[]): Promise<CrossSigningKeyRow[]>;
  /** Signatures of what these users have that they made themselves or that `viewer` made. */
  listKeySignatures(targetUserIds: readonly UserId[], viewer: UserId | null): Promise<KeySignatureRow[]>;
}
