/**
 * Something that has ephemeral events (presence, typing) for services. It keeps marks, never payloads; it is asked when a transaction is
 * built, so what goes out is true at that moment. Nothing taken here is ever repeated: what was refused is built anew.
 */
export interface EphemeralSource {
  readonly name: string;
  /** Whether `take` may give something for this service now. Cheap. */
  hasPending(serviceId: string): boolean;
  /** At most `max` events. The source learns the fate of just these through the parcel, once. */
  take(serviceId: string, max: number): Promise<EphemeralParcel>;
}

export interface EphemeralParcel {
  /** JSON texts. */
  readonly events: readonly string[];
  /** The attempt that carried them was answered 200. Nothing else clears a mark. */
  accepted(): void;
  /** The attempt failed or was never made; the marks stand. */
  refused(): void;
}

export const emptyParcel: EphemeralParcel = { events: [], accepted() {}, refused() {} };
