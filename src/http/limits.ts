/** What one caller may cost. */
export interface HttpLimits {
  /** Body sizes by kind of route; a longer body answers 413 M_TOO_LARGE. */
  readonly openBodyBytesMax: number;
  readonly userBodyBytesMax: number;
  /** Of what is read at once; a transaction may be longer. */
  readonly serverBodyBytesMax: number;
  /** A body that takes longer to arrive answers 408, and the connection ends. */
  readonly bodyTimeoutMs: number;
  /** Requests of one user, or of one server, that run at the same time; one more answers 429 M_LIMIT_EXCEEDED. */
  readonly concurrentPerCallerMax: number;
  /** Requests that run at the same time in all; one more answers 503. */
  readonly concurrentMax: number;
  /** How long a stop waits for running requests: for the first half they run on, then they are aborted. */
  readonly stopTimeoutMs: number;
}

export const defaultHttpLimits: HttpLimits = {
  openBodyBytesMax: 64 * 1024,
  userBodyBytesMax: 1024 * 1024,
  serverBodyBytesMax: 2 * 1024 * 1024,
  bodyTimeoutMs: 30_000,
  concurrentPerCallerMax: 100,
  concurrentMax: 20_000,
  stopTimeoutMs: 4_000,
};
