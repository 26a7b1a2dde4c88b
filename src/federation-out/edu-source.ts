import type { Edu } from '../matrix/edu.ts';
import type { ServerName } from '../matrix/server-name.ts';

/**
 * Something that has volatile EDUs (presence, typing) for destinations. It keeps marks, never payloads; the sender asks
 * when it builds a transaction, so what goes out is true at that moment. Nothing taken here is ever repeated by a retry.
 */
export interface EduSource {
  readonly name: string;
  /** Whether `take` would give something for this destination now. Cheap. */
  hasPending(destination: ServerName): boolean;
  /** At most `max` EDUs. The source learns the fate of just these through the parcel. */
  take(destination: ServerName, max: number): Promise<EduParcel>;
}

export interface EduParcel {
  readonly edus: readonly Edu[];
  /** There is more, for the next transaction. */
  readonly more: boolean;
  /** The attempt that carried them was answered 200. Nothing else clears a mark. */
  accepted(): void;
  /** The attempt failed or was never made; the marks stand. */
  refused(): void;
}
