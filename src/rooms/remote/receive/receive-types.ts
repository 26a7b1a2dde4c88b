import type { PduVerdict } from '../../../engine/verdict.ts';
import type { EventId } from '../../../matrix/ids.ts';

/** What became of one PDU of a transaction. */
export interface ReceivedPdu {
  /** Undefined where no event id can be worked out. */
  readonly eventId: EventId | undefined;
  readonly verdict: PduVerdict;
}
