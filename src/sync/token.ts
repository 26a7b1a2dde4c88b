import type { Position } from '../storage/contract/numbers.ts';

/** What a `next_batch` stands for. Opaque to clients. */
export interface SyncToken {
  /** All that is stored up to here was told. */
  readonly position: Position;
  /** Messages to the device were told up to here: behind `position` where one answer did not hold all. */
  readonly toDevice: Position;
  /** Typing lives in memory: its number means something only within the epoch, which is one run of the process. */
  readonly typing: { readonly epoch: string; readonly number: number };
  /** The presence part: given by presence, understood by presence alone. */
  readonly presence: string;
}

const version = 's1';
const tokenPattern = /^s1_(\d{1,16})(?:-(\d{1,16}))?_([A-Za-z0-9-]{1,64})\.(\d{1,16})_([\x21-\x7e]{0,256})$/;

export function encodeSyncToken(token: SyncToken): string {
  const lag = token.toDevice === token.position ? '' : `-${token.toDevice}`;
  return `${version}_${token.position}${lag}_${token.typing.epoch}.${token.typing.number}_${token.presence}`;
}

/** Undefined for whatever `encodeSyncToken` did not write, tokens of other versions included. */
export function parseSyncToken(text: string): SyncToken | undefined {
  const match = tokenPattern.exec(text);
  if (!match) return undefined;
  const [, position = '', toDevice = position, epoch = '', number = '', presence = ''] = match;
  const token = {
    position: Number(position),
    toDevice: Number(toDevice),
    typing: { epoch, number: Number(number) },
    presence,
  };
  if (token.toDevice > token.position) return undefined;
  if (!Number.isSafeInteger(token.position) || !Number.isSafeInteger(token.typing.number)) return undefined;
  // A number is written in one way only, so that two texts never stand for one token.
  return encodeSyncToken(token) === text ? token : undefined;
}

/** The durable position of a sync token, for endpoints that take one where they take tokens of their own. */
export function positionOfSyncToken(text: string): Position | undefined {
  return parseSyncToken(text)?.position;
}
