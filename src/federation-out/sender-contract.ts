import type { ServerName } from '../matrix/server-name.ts';
import type { EduSource } from './edu-source.ts';

/** The queue to every other server. Durable work comes from the outgoing log of storage, volatile work from its sources. */
export interface Sender {
  addSource(source: EduSource): void;
  /** Something may be waiting for this destination. Cheap, may be called often; does nothing while it backs off. */
  poke(destination: ServerName): void;
  /** The server was heard of: whatever back-off there was ends now. */
  serverIsBack(destination: ServerName): void;
  /**
   * Tries now what waits for the destination, whatever back-off there is. Resolves when nothing is left or the attempt
   * failed. Never rejects.
   */
  flush(destination: ServerName): Promise<void>;
  /** Resolves when nothing that can be sent now is unsent; for tests and the stop. */
  idle(): Promise<void>;
  /** Takes up what was waiting when the process ended. */
  start(): Promise<void>;
  stop(): Promise<void>;
}
